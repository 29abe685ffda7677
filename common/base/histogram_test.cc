// Percentiles against a sorted list.
#include "common/base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/base/prng.h"

namespace sextant {
namespace {

TEST(HistogramTest, EmptyIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.Percentile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.Mean(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.Percentile(0.5), 50u);
  EXPECT_EQ(histogram.Percentile(0.99), 99u);
  EXPECT_EQ(histogram.Percentile(1), 100u);
  EXPECT_EQ(histogram.Mean(), 50.5);
}

TEST(HistogramTest, WithinOneSixtyFourthOfASortedList) {
  Prng prng(3);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 50000; ++i) {
    const uint64_t value = prng.Next() >> prng.Between(1, 60);
    values.push_back(value);
    histogram.Record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(fraction * static_cast<double>(values.size())));
    const uint64_t exact = values[rank - 1];
    const uint64_t ours = histogram.Percentile(fraction);
    EXPECT_GE(ours, exact);
    EXPECT_LE(static_cast<double>(ours), static_cast<double>(exact) * (1 + 1.0 / 64) + 1);
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(HistogramTest, SumsAreAsIfRecordedInOne) {
  Histogram one, other, all;
  one.Record(5, 3);
  other.Record(5000);
  other.Record(1, 0);
  for (const uint64_t value : {5, 5, 5, 5000}) all.Record(value);
  one.Add(other);
  EXPECT_EQ(one.count(), 4u);
  EXPECT_EQ(one.max(), all.max());
  EXPECT_EQ(one.Mean(), all.Mean());
  for (const double fraction : {0.1, 0.75, 0.76, 1.0}) {
    EXPECT_EQ(one.Percentile(fraction), all.Percentile(fraction));
  }
}

TEST(HistogramTest, TheLargestValueHasABucket) {
  Histogram histogram;
  histogram.Record(UINT64_MAX);
  EXPECT_EQ(histogram.Percentile(0.5), UINT64_MAX);
}

}  // namespace
}  // namespace sextant
