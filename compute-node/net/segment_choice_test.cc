// SegmentChoice: the fastest is asked, others are probed, the late and the failed fall behind.
#include "compute-node/net/segment_choice.h"

#include <map>

#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

constexpr Instant kNow = Instant::FromNanos(1'000'000'000'000);
const std::vector<NodeIndex> kAll = {NodeIndex(0), NodeIndex(1), NodeIndex(2)};

SegmentChoice::Options NoProbes() {
  SegmentChoice::Options options;
  options.probe_one_in = UINT64_MAX;
  return options;
}

TEST(SegmentChoice, AsksTheFastestFirst) {
  Prng prng(1);
  SegmentChoice choice(3, NoProbes());
  choice.Answered(NodeIndex(0), absl::Microseconds(900));
  choice.Answered(NodeIndex(1), absl::Microseconds(300));
  choice.Answered(NodeIndex(2), absl::Microseconds(600));
  EXPECT_EQ(choice.Rank(kAll, kNow, &prng),
            (std::vector<NodeIndex>{NodeIndex(1), NodeIndex(2), NodeIndex(0)}));
  EXPECT_EQ(choice.Rank({NodeIndex(2), NodeIndex(0)}, kNow, &prng),
            (std::vector<NodeIndex>{NodeIndex(2), NodeIndex(0)}));
}

TEST(SegmentChoice, MeasuresTheUnmeasuredFirst) {
  Prng prng(1);
  SegmentChoice choice(3, NoProbes());
  choice.Answered(NodeIndex(0), absl::Microseconds(1));
  EXPECT_EQ(choice.Rank(kAll, kNow, &prng).back(), NodeIndex(0));
}

TEST(SegmentChoice, ProbesOthersNowAndThen) {
  Prng prng(7);
  SegmentChoice::Options options;
  options.probe_one_in = 10;
  SegmentChoice choice(3, options);
  for (uint32_t i = 0; i < 3; ++i) choice.Answered(NodeIndex(i), absl::Microseconds(100 * (i + 1)));
  std::map<NodeIndex, int> first;
  for (int i = 0; i < 1000; ++i) ++first[choice.Rank(kAll, kNow, &prng)[0]];
  EXPECT_GT(first[NodeIndex(0)], 800);
  EXPECT_GT(first[NodeIndex(1)], 10);
  EXPECT_GT(first[NodeIndex(2)], 10);
}

TEST(SegmentChoice, AFailedNodeComesLastForAWhile) {
  Prng prng(1);
  SegmentChoice choice(3, NoProbes());
  for (uint32_t i = 0; i < 3; ++i) choice.Answered(NodeIndex(i), absl::Microseconds(100 * (i + 1)));
  choice.Failed(NodeIndex(0), kNow);
  EXPECT_EQ(choice.Rank(kAll, kNow, &prng).back(), NodeIndex(0));
  EXPECT_EQ(choice.Rank(kAll, kNow + absl::Seconds(5), &prng).front(), NodeIndex(0));
}

TEST(SegmentChoice, ANodeThatIsLateLosesItsPlaceAndWinsItBack) {
  Prng prng(1);
  SegmentChoice choice(3, NoProbes());
  for (uint32_t i = 0; i < 3; ++i) choice.Answered(NodeIndex(i), absl::Microseconds(300 + i));
  EXPECT_EQ(choice.Rank(kAll, kNow, &prng)[0], NodeIndex(0));
  choice.Late(NodeIndex(0), absl::Milliseconds(5));
  EXPECT_EQ(choice.Rank(kAll, kNow, &prng)[0], NodeIndex(1));
  for (int i = 0; i < 50; ++i) choice.Answered(NodeIndex(0), absl::Microseconds(200));
  EXPECT_EQ(choice.Rank(kAll, kNow, &prng)[0], NodeIndex(0));
}

TEST(SegmentChoice, HedgesAfterTheUsualLatencyWithinBounds) {
  SegmentChoice choice(2, NoProbes());
  EXPECT_EQ(choice.HedgeDelay(NodeIndex(0)), absl::Milliseconds(100));
  for (int i = 0; i < 100; ++i) choice.Answered(NodeIndex(0), absl::Microseconds(300));
  EXPECT_EQ(choice.HedgeDelay(NodeIndex(0)), absl::Milliseconds(2));
  for (int i = 0; i < 100; ++i) choice.Answered(NodeIndex(0), absl::Milliseconds(i % 2 ? 10 : 20));
  EXPECT_GT(choice.HedgeDelay(NodeIndex(0)), absl::Milliseconds(20));
  EXPECT_LE(choice.HedgeDelay(NodeIndex(0)), absl::Milliseconds(60));
}

}  // namespace
}  // namespace sextant::compute
