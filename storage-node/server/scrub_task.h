// ScrubTask: reads and verifies everything at rest, a little at a time.
//
// The shell around Scrub (storage-node/segment/scrub.h), one per segment, in turn; what it finds
// goes to the DamageBook. Internal to server/; runs on the upkeep thread.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "common/base/rate_budget.h"
#include "storage-node/segment/scrub.h"
#include "storage-node/server/damage_book.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/server/upkeep_runner.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class ScrubTask : public UpkeepTask {
 public:
  // Pointers outlive the task.
  ScrubTask(const UpkeepOptions& options, SegmentStore* store, DamageBook* book,
            NodeCounters* counters, std::function<std::vector<SegmentSlot*>()> slots);

  Step Work(Instant now) override;

 private:
  // Bytes that were read.
  uint64_t VerifyLog(SegmentSlot* slot, Scrub* scrub, const Scrub::VerifyLog& step);
  uint64_t VerifyPages(SegmentSlot* slot, Scrub* scrub, const Scrub::VerifyPages& step,
                       Instant now);
  // Verifies what lies at one position, where those records are thought to lie; its bytes.
  uint64_t VerifyBatch(SegmentSlot* slot, LogPosition position,
                       const std::vector<RecordLocation>& records);

  const ScrubOptions options_;
  SegmentStore* const store_;
  DamageBook* const book_;
  NodeCounters* const counters_;
  const std::function<std::vector<SegmentSlot*>()> slots_;
  RateBudget budget_;
  std::map<SegmentId, Scrub> scrubs_;
  size_t turn_ = 0;
};

}  // namespace sextant::storage
