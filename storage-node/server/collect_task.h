// CollectTask: makes page versions in the background and lets the log go that they replace.
//
// The shell around CollectRound (storage-node/segment/collect_round.h), which knows the order. One
// segment at a time, one page a step. Internal to server/; runs on the upkeep thread.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "storage-node/segment/collect_round.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/segment_reader.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/server/upkeep_runner.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class CollectTask : public UpkeepTask {
 public:
  struct Outside {
    std::function<std::vector<SegmentSlot*>()> slots;
    // Segment::MoveLogStart, answered.
    std::function<absl::Status(SegmentSlot*, const LogStart&)> move_log_start;
    std::function<void(absl::Status)> on_write_error;  // the node ends
  };
  // Pointers outlive the task.
  CollectTask(CollectOptions options, SegmentStore* store, SegmentReader* reader,
              NodeCounters* counters, Outside outside);

  Step Work(Instant now) override;

 private:
  // Takes up a segment that has enough to collect, in turn.
  void Begin(Instant now);
  // Carries out the round's step; gives the bytes that took.
  absl::StatusOr<uint64_t> Carry();
  absl::StatusOr<uint64_t> MakeVersion();
  void Failed(const absl::Status& why, Instant now);
  void Finished();

  const CollectOptions options_;
  SegmentStore* const store_;
  SegmentReader* const reader_;
  NodeCounters* const counters_;
  const Outside outside_;

  SegmentSlot* slot_ = nullptr;  // whose round it is
  std::optional<CollectRound> round_;
  SegmentId last_;  // looked at last
  Instant rests_until_;
};

}  // namespace sextant::storage
