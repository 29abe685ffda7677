// See histogram.h.
#include "common/base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sextant {

// Values below 2 * kSub have a bucket each; above, the top kSubBits + 1 bits choose one.
int Histogram::Index(uint64_t value) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kSubBits - 1);
  return static_cast<int>(static_cast<uint64_t>(shift) * kSub + (value >> shift));
}

uint64_t Histogram::UpperBound(int index) {
  const auto i = static_cast<uint64_t>(index);
  if (i < 2 * kSub) return i;
  const uint64_t shift = i / kSub - 1;
  const uint64_t top = i - shift * kSub;
  return ((top + 1) << shift) - 1;
}

void Histogram::Record(uint64_t value, uint64_t times) {
  if (times == 0) return;
  buckets_[static_cast<size_t>(Index(value))] += times;
  count_ += times;
  sum_ += static_cast<double>(value) * static_cast<double>(times);
  max_ = std::max(max_, value);
}

void Histogram::Add(const Histogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::Percentile(double fraction) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) return std::min(UpperBound(static_cast<int>(i)), max_);
  }
  return max_;
}

double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

}  // namespace sextant
