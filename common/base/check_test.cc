// A broken invariant ends the process, and says where and why.
#include "common/base/check.h"

#include <gtest/gtest.h>

#include "common/log/lsn.h"

namespace sextant {
namespace {

TEST(CheckDeathTest, AbortsWithPlaceConditionAndMessage) {
  EXPECT_DEATH(SEXTANT_CHECK(1 + 1 == 3) << "sum is " << 2,
               "check_test.cc:[0-9]+: 1 \\+ 1 == 3 sum is 2");
}

TEST(Check, EvaluatesItsConditionOnceAndTheMessageNotAtAll) {
  int conditions = 0, messages = 0;
  SEXTANT_CHECK(++conditions > 0) << ++messages;
  EXPECT_EQ(conditions, 1);
  EXPECT_EQ(messages, 0);
}

TEST(WatermarkDeathTest, NeverFallsBack) {
  Watermark watermark(Lsn(5));
  watermark.AdvanceTo(Lsn(5));
  watermark.AdvanceTo(Lsn(9));
  EXPECT_EQ(watermark.Get(), Lsn(9));
  EXPECT_DEATH(watermark.AdvanceTo(Lsn(8)), "would fall from 9 to 8");
}

}  // namespace
}  // namespace sextant
