// Asks the writer to replace a segment, and to undo that.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

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

}  // namespace sextant::cli
