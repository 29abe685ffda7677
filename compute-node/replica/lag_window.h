// LagWindow: percentiles of what was measured in the last seconds. Core.
//
// One histogram a second; the oldest is cleared when its turn comes. Recording is constant work.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "common/base/histogram.h"
#include "common/base/instant.h"

namespace sextant::compute {

class LagWindow {
 public:
  static constexpr int kSeconds = 10;

  // `count` measurements of `lag`; one below zero, as clocks that differ may show, is none.
  void Add(absl::Duration lag, uint64_t count, Instant now) {
    Second& second = seconds_[static_cast<uint64_t>(SecondOf(now)) % kSeconds];
    if (second.number != SecondOf(now)) second = {SecondOf(now), Histogram()};
    const int64_t us = std::max<int64_t>(absl::ToInt64Microseconds(lag), 0);
    second.lags_us.Record(static_cast<uint64_t>(us), count);
  }

  // Of the window that ends at `now`, in microseconds.
  Histogram Sum(Instant now) const {
    Histogram sum;
    for (const Second& second : seconds_) {
      const bool is_within =
          second.number <= SecondOf(now) && second.number > SecondOf(now) - kSeconds;
      if (is_within) sum.Add(second.lags_us);
    }
    return sum;
  }

 private:
  struct Second {
    int64_t number = INT64_MIN;
    Histogram lags_us;
  };
  static int64_t SecondOf(Instant now) { return now.nanos() / 1'000'000'000; }

  std::array<Second, kSeconds> seconds_;
};

}  // namespace sextant::compute
