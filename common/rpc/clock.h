// SteadyNow: the shell's clock, read here and handed to state machines as an Instant.
#pragma once

#include <chrono>

#include "common/base/instant.h"

namespace sextant::rpc {

// Monotonic, of this process only.
inline Instant SteadyNow() {
  const auto since_origin = std::chrono::steady_clock::now().time_since_epoch();
  return Instant::FromNanos(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_origin).count());
}

}  // namespace sextant::rpc
