// Founding: which answers lead to waiting, creating, recovering and refusing.
#include "compute-node/writer/founding.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using Kind = FoundingVerdict::Kind;
using ::testing::HasSubstr;

const std::vector<volume::Member> kNodes = {{"az2-b", "az2"}, {"az1-a", "az1"}, {"az3-a", "az3"},
                                            {"az1-b", "az1"}, {"az2-a", "az2"}, {"az3-b", "az3"}};

volume::Descriptor Fresh(uint64_t volume = 77, uint32_t pgs = 2) {
  volume::Descriptor descriptor;
  descriptor.volume = VolumeId(volume);
  descriptor.geometry.pg_count = pgs;
  return descriptor;
}

class FoundingTest : public ::testing::Test {
 protected:
  void AnswerEmpty(const std::string& node) { answers_[node] = {node, node.substr(0, 3), {}}; }
  void AnswerAllEmpty() {
    for (const auto& member : membership_.members) AnswerEmpty(member.node);
  }
  void Hold(const std::string& node, uint32_t pg, uint64_t epoch, uint64_t volume = 77) {
    protocol::SegmentStatus status;
    status.segment = {VolumeId(volume), PgId(pg)};
    status.descriptor = Fresh(volume);
    status.membership = membership_;
    status.epoch = VolumeEpoch(epoch);
    if (!answers_.contains(node)) AnswerEmpty(node);
    answers_[node].segments.push_back(status);
  }

  volume::Membership membership_ = *MembershipOf(kNodes);
  NodeAnswers answers_;
};

TEST(MembershipOf, OrdersByZoneAndName) {
  const auto membership = MembershipOf(kNodes);
  ASSERT_TRUE(membership.ok());
  std::vector<std::string> names;
  for (const auto& member : membership->members) names.push_back(member.node);
  EXPECT_THAT(names, ::testing::ElementsAre("az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"));
}

TEST(MembershipOf, RefusesWhatIsNotTwoInEachOfThreeZones) {
  auto five = kNodes;
  five.pop_back();
  EXPECT_EQ(MembershipOf(five).status().code(), absl::StatusCode::kInvalidArgument);
  auto twice = kNodes;
  twice[0] = twice[1];
  EXPECT_EQ(MembershipOf(twice).status().code(), absl::StatusCode::kInvalidArgument);
  auto crowded = kNodes;
  crowded[0].zone = "az1";
  EXPECT_EQ(MembershipOf(crowded).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FoundingTest, WaitsForAllSixBeforeItCreates) {
  AnswerAllEmpty();
  answers_.erase("az3-b");
  const auto verdict = DecideFounding(membership_, answers_, Fresh());
  EXPECT_EQ(verdict.kind, Kind::kWait);
  EXPECT_THAT(verdict.why, HasSubstr("az3-b"));
}

TEST_F(FoundingTest, CreatesEverySegmentWhenAllAreEmpty) {
  AnswerAllEmpty();
  answers_["az1-a"].directory = DirectoryId(8);
  const auto verdict = DecideFounding(membership_, answers_, Fresh());
  ASSERT_EQ(verdict.kind, Kind::kCreate);
  EXPECT_EQ(verdict.requests[0].request.directory, DirectoryId(8));
  EXPECT_EQ(verdict.volume, VolumeId(77));
  ASSERT_EQ(verdict.requests.size(), 12u);
  EXPECT_EQ(verdict.requests[7].node, "az1-b");
  EXPECT_EQ(verdict.requests[7].request.slot, 1);
  EXPECT_EQ(verdict.requests[7].request.pg, PgId(1));
}

TEST_F(FoundingTest, RefusesToCreateUnasked) {
  AnswerAllEmpty();
  const auto verdict = DecideFounding(membership_, answers_, std::nullopt);
  ASSERT_EQ(verdict.kind, Kind::kRefuse);
  EXPECT_EQ(verdict.error.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(FoundingTest, ContinuesAnInterruptedFoundingWithTheSameVolume) {
  AnswerAllEmpty();
  Hold("az1-a", 0, 0);
  Hold("az2-a", 0, 0);
  const auto verdict = DecideFounding(membership_, answers_, Fresh(/*volume=*/99));
  ASSERT_EQ(verdict.kind, Kind::kCreate);
  EXPECT_EQ(verdict.volume, VolumeId(77));
  EXPECT_EQ(verdict.requests.size(), 10u);
  for (const auto& request : verdict.requests) {
    EXPECT_EQ(request.request.descriptor.volume, VolumeId(77));
  }
}

TEST_F(FoundingTest, AnInterruptedFoundingNeedsAllSixToo) {
  Hold("az1-a", 0, 0);
  EXPECT_EQ(DecideFounding(membership_, answers_, Fresh()).kind, Kind::kWait);
}

TEST_F(FoundingTest, RecoversWhatWasOpenedOnceEvenWithNodesAwayOrWiped) {
  Hold("az1-a", 0, 3);
  AnswerEmpty("az1-b");
  const auto verdict = DecideFounding(membership_, answers_, Fresh(99));
  EXPECT_EQ(verdict.kind, Kind::kRecover);
  EXPECT_EQ(verdict.volume, VolumeId(77));
}

TEST_F(FoundingTest, RefusesNodesOfDifferentVolumes) {
  Hold("az1-a", 0, 3);
  Hold("az1-b", 0, 3, /*volume=*/1234);
  const auto verdict = DecideFounding(membership_, answers_, Fresh());
  ASSERT_EQ(verdict.kind, Kind::kRefuse);
  EXPECT_THAT(std::string(verdict.error.message()), HasSubstr(FormatVolumeId(VolumeId(1234))));
}

TEST_F(FoundingTest, RefusesANodeInAnotherZone) {
  AnswerAllEmpty();
  answers_["az1-a"].zone = "az9";
  EXPECT_EQ(DecideFounding(membership_, answers_, Fresh()).kind, Kind::kRefuse);
}

}  // namespace
}  // namespace sextant::compute
