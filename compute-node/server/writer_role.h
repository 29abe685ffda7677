// The writer's process: the volume, its services, and the order of starting and stopping them.
#pragma once

#include "absl/status/status.h"
#include "compute-node/server/compute_flags.h"

namespace sextant::server {

// Serves until a stop signal, then drains. An error: it could not serve, or the volume could not be
// opened.
absl::Status RunWriter(ComputeFlags flags);

}  // namespace sextant::server
