// Which compute node a reader follows: the open writer of the highest epoch. Core, pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace sextant::compute {

// What a compute node said of itself.
struct ComputeNodeAnswer {
  std::string node;
  bool is_open_writer = false;
  VolumeId volume;
  VolumeEpoch epoch;
};

// An index into `answers`; nullopt: nobody to follow. `volume`: {0} while the reader knows none.
// A writer of an epoch below `at_least` has been succeeded, whatever it believes of itself.
std::optional<size_t> ChooseWriter(const std::vector<ComputeNodeAnswer>& answers, VolumeId volume,
                                   VolumeEpoch at_least);

}  // namespace sextant::compute
