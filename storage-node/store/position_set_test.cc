// PositionSet: ranges are joined, cut and compared as sets.
#include "storage-node/store/position_set.h"

#include "common/base/prng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::storage {
namespace {

using ::testing::ElementsAre;

PositionSet::Range Between(uint64_t first, uint64_t last) {
  return {LogPosition(first), LogPosition(last)};
}

TEST(PositionSetTest, RangesThatTouchBecomeOne) {
  PositionSet set;
  set.Add(LogPosition(5), LogPosition(6));
  set.Add(LogPosition(9), LogPosition(9));
  set.Add(LogPosition(3), LogPosition(2));  // none
  EXPECT_THAT(set.ranges(), ElementsAre(Between(5, 6), Between(9, 9)));
  EXPECT_EQ(set.last(), LogPosition(9));
  set.Add(LogPosition(7), LogPosition(8));
  EXPECT_THAT(set.ranges(), ElementsAre(Between(5, 9)));
  EXPECT_THAT(set.Missing(LogPosition(1), LogPosition(12)).ranges(),
              ElementsAre(Between(1, 4), Between(10, 12)));
  set.DropBefore(LogPosition(8));
  EXPECT_THAT(set.ranges(), ElementsAre(Between(8, 9)));
  set.DropBefore(LogPosition(10));
  EXPECT_TRUE(set.empty());
}

TEST(PositionSetTest, IsASet) {
  constexpr uint64_t kEnd = 40;
  Prng rng(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<bool> a(kEnd), b(kEnd);
    PositionSet set_a, set_b;
    for (int i = 0; i < 6; ++i) {
      const uint64_t first = rng.Below(kEnd), last = std::min(kEnd - 1, first + rng.Below(6));
      std::vector<bool>& model = i % 2 == 0 ? a : b;
      for (uint64_t at = first; at <= last; ++at) model[at] = true;
      (i % 2 == 0 ? set_a : set_b).Add(LogPosition(first), LogPosition(last));
    }
    const PositionSet left = set_a.Without(set_b);
    PositionSet one_by_one;
    for (uint64_t at = 0; at < kEnd; ++at) {
      EXPECT_EQ(set_a.Contains(LogPosition(at)), a[at]) << at;
      EXPECT_EQ(left.Contains(LogPosition(at)), a[at] && !b[at]) << at;
      if (a[at] && !b[at]) one_by_one.Add(PositionSet::Of(LogPosition(at)));
    }
    EXPECT_EQ(left, one_by_one) << "equal sets are equal, however they were made";
  }
}

}  // namespace
}  // namespace sextant::storage
