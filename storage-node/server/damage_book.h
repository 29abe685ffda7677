// DamageBook: where reads and scrubbing report bytes at rest that fail their checks, and what is
// done about it at once.
//
// A damaged batch: the segment is told and lacks its records from then on; gossip brings them
// again. A damaged page version: noted for whoever repairs (gossip_runner.h). Internal to server/.
//
// Thread-safety: all methods from any thread, without the lock of a slot.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "storage-node/segment/page_repair.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class DamageBook {
 public:
  // `wake`: somebody who repairs should look. Pointers outlive the book.
  DamageBook(SegmentStore* store, NodeCounters* counters, std::function<void()> wake)
      : store_(store), counters_(counters), wake_(std::move(wake)) {}

  // What is stored at `position` cannot be read. No-op if no record is thought to lie there.
  void Batch(SegmentSlot* slot, LogPosition position, const absl::Status& why);
  void Page(SegmentId segment, const DamagedPage& damaged);
  // Some version of the page is damaged: finds out which.
  void PageOf(SegmentId segment, PageNo page);

  std::vector<std::pair<SegmentId, DamagedPage>> TakePages();

 private:
  SegmentStore* const store_;
  NodeCounters* const counters_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::set<std::pair<SegmentId, DamagedPage>> pages_;  // guarded by mutex_
};

}  // namespace sextant::storage
