// Histogram: latencies in log-linear buckets, as HdrHistogram has them. Pure.
//
// Each power of two is cut into 64 buckets, so a percentile is at most 1/64 (1.6 %) too high; the
// largest value is kept exactly. Recording costs a few nanoseconds and no memory.
#pragma once

#include <array>
#include <cstdint>

namespace sextant {

class Histogram {
 public:
  void Record(uint64_t value, uint64_t times = 1);
  // As if all that `other` recorded had been recorded here.
  void Add(const Histogram& other);
  // The smallest bucket bound that at least `fraction` (0..1) of the values do not exceed; 0 when
  // empty.
  uint64_t Percentile(double fraction) const;
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  double Mean() const;

 private:
  static constexpr int kSubBits = 6;
  static constexpr uint64_t kSub = uint64_t{1} << kSubBits;
  static int Index(uint64_t value);
  static uint64_t UpperBound(int index);

  std::array<uint64_t, (64 - kSubBits + 1) * kSub> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace sextant
