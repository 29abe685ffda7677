// Figures of a round, from samples with known times.
#include "fault/report/round.h"

#include <gtest/gtest.h>

namespace sextant::fault {
namespace {

constexpr Nanos kMillisecond = 1'000'000;
constexpr Nanos kSecond = 1000 * kMillisecond;

Sample Commit(Nanos at, Nanos latency = kMillisecond) {
  return {at, latency, true, Outcome::kCommitted};
}

TEST(MeasureTest, CutsPhasesAtTheFaults) {
  Round round;
  round.began = 10 * kSecond;
  round.struck = 12 * kSecond;
  round.healed = 14 * kSecond;
  round.ended = 15 * kSecond;
  const std::vector<Sample> samples = {
      Commit(11 * kSecond),
      Commit(13 * kSecond, 7 * kMillisecond),
      {13 * kSecond, 0, false, Outcome::kCommitted},
      {13 * kSecond, 0, true, Outcome::kUnknown},
      Commit(14 * kSecond + 500 * kMillisecond),
      {14 * kSecond + 600 * kMillisecond, 0, true, Outcome::kAborted}};
  Measure(samples, &round);
  EXPECT_EQ(round.before.commits, 1);
  EXPECT_EQ(round.during.commits, 1);
  EXPECT_EQ(round.during.reads, 1);
  EXPECT_EQ(round.during.unknown, 1);
  EXPECT_EQ(round.after.commits, 1);
  EXPECT_EQ(round.after.aborted, 1);
  EXPECT_DOUBLE_EQ(round.during.commits_per_second(), 0.5);
  EXPECT_NEAR(static_cast<double>(round.during.p50), 7e6, 7e6 * 0.02);
  EXPECT_EQ(round.stall, kSecond + 500 * kMillisecond);  // from 13 to 14.5
}

TEST(MeasureTest, NoCommitAtAllIsOneLongStall) {
  Round round;
  round.struck = kSecond;
  round.healed = 3 * kSecond;
  round.ended = 9 * kSecond;
  Measure({}, &round);
  EXPECT_EQ(round.stall, 8 * kSecond);
}

TEST(MeasureTest, CommitsWithinAreThoseAskedAndAnsweredThere) {
  const std::vector<Sample> samples = {
      Commit(2 * kSecond, kMillisecond),  // yes
      Commit(2 * kSecond, 3 * kSecond),   // asked before: it may have been decided before, too
      Commit(5 * kSecond, 2 * kSecond),   // answered after
      {2 * kSecond, 0, false, Outcome::kCommitted},
      {2 * kSecond, 0, true, Outcome::kUnknown}};
  EXPECT_EQ(CommitsWithin(samples, kSecond, 4 * kSecond), 1);
  EXPECT_EQ(CommitsWithin({}, kSecond, 4 * kSecond), 0);
}

TEST(TimelineTest, OnePointEveryTenthOfASecond) {
  Round round;
  round.began = kSecond;
  round.ended = 2 * kSecond;
  const auto timeline =
      TimelineOf({Commit(kSecond + 50 * kMillisecond), Commit(kSecond + 99 * kMillisecond),
                  Commit(kSecond + 950 * kMillisecond)},
                 round);
  ASSERT_EQ(timeline.size(), 11u);
  EXPECT_EQ(timeline[0].commits, 2);
  EXPECT_EQ(timeline[1].commits, 0);
  EXPECT_EQ(timeline[9].commits, 1);
  EXPECT_DOUBLE_EQ(timeline[9].seconds, 0.9);
}

}  // namespace
}  // namespace sextant::fault
