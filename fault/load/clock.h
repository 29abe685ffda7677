// The monotonic clock of a run: all times in its history and its journal.
#pragma once

#include <chrono>

#include "fault/history/history.h"

namespace sextant::fault {

inline Nanos MonotonicNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace sextant::fault
