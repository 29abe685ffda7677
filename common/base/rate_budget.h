// RateBudget: when background work may go on, so that it takes so many bytes a second. Core.
//
// Pure: time is a parameter. Work is paid for after it was done, since its size is known only then;
// idle time is not saved up, so a burst never follows a pause.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/instant.h"

namespace sextant {

class RateBudget {
 public:
  explicit RateBudget(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {
    SEXTANT_CHECK(bytes_per_second > 0);
  }

  void Spend(uint64_t bytes, Instant now) {
    const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second_);
    ready_at_ = std::max(now, ready_at_) + absl::Seconds(seconds);
  }
  // Work may go on from here.
  Instant ready_at() const { return ready_at_; }

 private:
  uint64_t bytes_per_second_;
  Instant ready_at_ = Instant::Min();
};

}  // namespace sextant
