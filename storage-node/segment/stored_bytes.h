// Bytes that a store gave back, verified against what the segment thinks lies there; and which
// pages come next in a copy of a segment. Core: the storage node and the simulator read with the
// same.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/log/record.h"
#include "storage-node/segment/segment.h"

namespace sextant::storage {

// What the log should hold and does not (NOT_FOUND) is lost, not absent: DATA_LOSS.
absl::Status AsLoss(const absl::Status& status);

// One stored record. DATA_LOSS: damaged, or not the one that should lie there.
absl::StatusOr<log::RecordView> VerifyRecord(SegmentId segment, const RecordLocation& at,
                                             std::string_view bytes);

// A stored batch: whole, header and all records, of this segment, and `records` lie in it where
// they are thought to be. DATA_LOSS otherwise.
absl::Status VerifyBatch(SegmentId segment, std::string_view bytes,
                         const std::vector<RecordLocation>& records);

// The pages of a segment that are to be given next, in order of number: those that its log shows
// and those that have a stored version.
struct CopyPortion {
  std::vector<PageNo> pages;  // ascending
  PageNo next;                // everything below it was looked at; only if there is more
  bool is_last = false;
};
// `stored`: the first pages from the plan's beginning on that have a stored version, at most
// `limit` as in the plan; fewer: there are no more. Empty if the plan does not ask for them.
CopyPortion NextToCopy(const PageCopyPlan& plan, const std::vector<PageNo>& stored, size_t limit);

}  // namespace sextant::storage
