// Instant: a point on a monotonic clock that somebody else reads; core code takes it. Core.
//
// Nanoseconds since an arbitrary origin: the process's steady clock in shells, simulated time in
// the simulator. Never wall-clock time, and never compared between processes.
#pragma once

#include <compare>
#include <cstdint>

#include "absl/time/time.h"

namespace sextant {

class Instant {
 public:
  constexpr Instant() = default;
  static constexpr Instant FromNanos(int64_t nanos) { return Instant(nanos); }
  static constexpr Instant Max() { return Instant(INT64_MAX); }
  static constexpr Instant Min() { return Instant(INT64_MIN); }

  constexpr int64_t nanos() const { return nanos_; }
  constexpr auto operator<=>(const Instant&) const = default;

  // Both saturate: a deadline infinitely far away stays comparable.
  Instant operator+(absl::Duration d) const {
    int64_t sum = 0;
    const int64_t distance = absl::ToInt64Nanoseconds(d);
    if (__builtin_add_overflow(nanos_, distance, &sum)) return distance > 0 ? Max() : Min();
    return Instant(sum);
  }
  absl::Duration operator-(Instant other) const {
    return absl::Nanoseconds(nanos_) - absl::Nanoseconds(other.nanos_);
  }

 private:
  constexpr explicit Instant(int64_t nanos) : nanos_(nanos) {}
  int64_t nanos_ = 0;
};

}  // namespace sextant
