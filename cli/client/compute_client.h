// Asks compute nodes to change something: a segment to be replaced, a node to lead.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::cli {

struct SegmentReplacement {
  uint32_t pg = 0;
  std::string from;
  std::string to;
  bool hold = false;
};

// Of the first endpoint that answers. Errors as WriterVolume::ReplaceSegment and UndoReplacement
// say.
absl::Status ReplaceSegment(const std::vector<std::string>& endpoints,
                            const SegmentReplacement& replacement, absl::Duration timeout);
absl::Status UndoReplace(const std::vector<std::string>& endpoints, uint32_t pg,
                         const std::string& from, absl::Duration timeout);

// Which of the nodes that answered and do not lead shows most: the one to promote. In the
// traditional path that with the longest synced relay log. Null: there is none.
std::optional<size_t> MostAdvanced(const std::vector<absl::StatusOr<v1::ComputeStatus>>& answers);

// Asks the node at `endpoint` to lead; what it becomes, and what may be lost by it. Asking again
// repeats nothing. `is_forced`: a binlog replica leads even where something may be lost.
absl::StatusOr<v1::PromoteResponse> Promote(const std::string& endpoint, bool is_forced,
                                            absl::Duration timeout);

}  // namespace sextant::cli
