// Time travel goes to commits, never in between, and says what is too old.
#include "compute-node/replica/commit_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sextant::compute {
namespace {

using ::testing::HasSubstr;

class CommitTimesTest : public ::testing::Test {
 protected:
  CommitTimesTest() {
    times_.Begin(Lsn(100), 1000);
    times_.Committed(Lsn(103), 2000);
    times_.Committed(Lsn(107), 2000);
    times_.Committed(Lsn(110), 3000);
  }
  CommitTimes times_;
};

TEST_F(CommitTimesTest, AnLsnIsTakenDownToTheNewestCommit) {
  EXPECT_EQ(*times_.AtLsn(Lsn(100)), Lsn(100));
  EXPECT_EQ(*times_.AtLsn(Lsn(102)), Lsn(100));
  EXPECT_EQ(*times_.AtLsn(Lsn(103)), Lsn(103));
  EXPECT_EQ(*times_.AtLsn(Lsn(110)), Lsn(110));
}

TEST_F(CommitTimesTest, ATimeIsTakenToWhatWasDurableByThen) {
  EXPECT_EQ(*times_.AtTime(1000), Lsn(100));
  EXPECT_EQ(*times_.AtTime(1999), Lsn(100));
  EXPECT_EQ(*times_.AtTime(2000), Lsn(107));
  EXPECT_EQ(*times_.AtTime(INT64_MAX), Lsn(110));
}

TEST_F(CommitTimesTest, OlderThanTheHistoryIsTypedAndSaysWhatIsOldest) {
  for (const auto& result : {times_.AtLsn(Lsn(99)), times_.AtTime(999)}) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("lsn 100"));
  }
  EXPECT_EQ(times_.AtLsn(Lsn(111)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(CommitTimes().AtLsn(Lsn(1)).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(CommitTimesTest, ForgetsBelowTheNewestCommitThatIsStillNeeded) {
  times_.Forget(Lsn(106));
  EXPECT_EQ(times_.oldest(), Lsn(103));
  EXPECT_EQ(*times_.AtLsn(Lsn(106)), Lsn(103));
  times_.Forget(Lsn(1000));
  EXPECT_EQ(times_.oldest(), Lsn(110));
}

TEST_F(CommitTimesTest, AClockThatIsSetBackDoesNotTurnTimeBack) {
  times_.Committed(Lsn(120), 5);
  EXPECT_EQ(*times_.AtTime(3000), Lsn(120));
  EXPECT_EQ(*times_.AtTime(2999), Lsn(107));
}

TEST_F(CommitTimesTest, CommitsOfOneTimeAreOneStep) {
  const auto steps = times_.Steps(Lsn(100), Lsn(110));
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0], (protocol::DurableStep{Lsn(107), 2000}));
  EXPECT_EQ(steps[1], (protocol::DurableStep{Lsn(110), 3000}));
  ASSERT_EQ(times_.Steps(Lsn(100), Lsn(103)).size(), 1u);
  EXPECT_EQ(times_.Steps(Lsn(100), Lsn(103))[0].vdl, Lsn(103));
  EXPECT_TRUE(times_.Steps(Lsn(110), Lsn(200)).empty());
}

TEST(CommitTimes, GoesOnFromWhatAnotherNodeKnew) {
  const std::vector<protocol::DurableStep> history = {
      {Lsn(10), 100}, {Lsn(20), 200}, {Lsn(30), INT64_MAX}, {Lsn(40), INT64_MAX}};
  CommitTimes times(10);
  times.Resume(history, Lsn(30), 500);
  EXPECT_EQ(*times.AtLsn(Lsn(25)), Lsn(20));
  EXPECT_EQ(*times.AtTime(150), Lsn(10));
  EXPECT_EQ(*times.AtTime(499), Lsn(20));
  EXPECT_EQ(*times.AtTime(500), Lsn(30));
  EXPECT_EQ(times.newest(), Lsn(30));  // what lies above was annulled
  times.Committed(Lsn(50), 600);
  EXPECT_EQ(*times.AtLsn(Lsn(45)), Lsn(30));

  // There may have been commits between 20 and 25 that it did not hear of.
  times.Resume(history, Lsn(25), 500);
  EXPECT_EQ(times.size(), 1u);
  EXPECT_TRUE(absl::IsOutOfRange(times.AtLsn(Lsn(24)).status()));
  EXPECT_EQ(*times.AtLsn(Lsn(25)), Lsn(25));
  times.Resume({}, Lsn(0), 500);
  EXPECT_EQ(times.newest(), Lsn(0));
}

TEST(CommitTimes, IsBounded) {
  CommitTimes times(3);
  times.Begin(Lsn(1), 1);
  for (uint64_t i = 2; i < 100; ++i) times.Committed(Lsn(i), static_cast<int64_t>(i));
  EXPECT_EQ(times.size(), 3u);
  EXPECT_EQ(times.oldest(), Lsn(97));
}

}  // namespace
}  // namespace sextant::compute
