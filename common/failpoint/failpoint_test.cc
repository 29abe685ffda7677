// Failpoints: off by default, and each action from its turn on.
#include "common/failpoint/failpoint.h"

#include <gtest/gtest.h>

#include <csignal>

namespace sextant {
namespace {

Failpoint first("test-first");
Failpoint second("test-second");
Failpoint crashing("test-crash");
Failpoint planted("test-planted");
Failpoint late("test-late");

TEST(FailpointTest, IsOffUntilArmed) {
  EXPECT_TRUE(first.Hit().ok());
  EXPECT_FALSE(first.IsOn());
}

TEST(FailpointTest, ErrsFromTheAskedTurnOn) {
  ASSERT_TRUE(ArmFailpoint("test-second=error@3").ok());
  EXPECT_TRUE(second.Hit().ok());
  EXPECT_TRUE(second.Hit().ok());
  EXPECT_EQ(second.Hit().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(second.Hit().code(), absl::StatusCode::kUnavailable);
}

TEST(FailpointTest, IsOnFromTheAskedTurnOn) {
  ASSERT_TRUE(ArmFailpoint("test-planted=on@2").ok());
  EXPECT_FALSE(planted.IsOn());
  EXPECT_TRUE(planted.IsOn());
}

TEST(FailpointTest, DelayIsNoError) {
  ASSERT_TRUE(ArmFailpoint("test-late=delay:1").ok());
  EXPECT_TRUE(late.Hit().ok());
}

TEST(FailpointDeathTest, CrashIsKillNine) {
  EXPECT_EXIT(
      {
        (void)ArmFailpoint("test-crash=crash");
        (void)crashing.Hit();
      },
      ::testing::KilledBySignal(SIGKILL), "");
}

TEST(FailpointTest, WrongOnesAreRefused) {
  for (const char* spec :
       {"", "test-first", "nowhere=error", "test-first=explode", "test-first=error@0",
        "test-first=error@x", "test-first=delay:x", "test-first=delay:999999999"}) {
    EXPECT_EQ(ArmFailpoint(spec).code(), absl::StatusCode::kInvalidArgument) << spec;
  }
  EXPECT_TRUE(first.Hit().ok());
}

}  // namespace
}  // namespace sextant
