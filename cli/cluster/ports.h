// Ports for a new local cluster: free ones, below the kernel's range for outgoing connections.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace sextant::cli {

// `count` distinct TCP ports on 127.0.0.1 that nobody listens on. They lie below the ephemeral
// range, so that no outgoing connection can take one while its node is down, and no other process
// that picks ports gets one of them until this one has ended.
absl::StatusOr<std::vector<uint16_t>> PickFreePorts(int count);

}  // namespace sextant::cli
