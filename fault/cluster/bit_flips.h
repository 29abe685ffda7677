// Bits that flip at rest: in the files of a storage node that does not run.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/prng.h"

namespace sextant::fault {

// Flips a bit in up to three of the files in `data_folder`: tables, write-ahead logs, manifests,
// one of the two witnesses (both would be more than a node mends by itself). Returns how many.
absl::StatusOr<int> FlipBits(const std::string& data_folder, Prng* prng);

}  // namespace sextant::fault
