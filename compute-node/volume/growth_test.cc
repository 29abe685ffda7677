// Stories of growth: a writer over scripted members adds groups, step by step, and is stopped in
// between.
#include "compute-node/volume/growth.h"

#include "common/testing/status_matchers.h"
#include "compute-node/volume/discovery.h"
#include "compute-node/volume/writer_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using sextant::testing::StatusIs;
using testing::At;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kTestDirectory;
using testing::kTestEpoch;
using testing::kTestVolume;
using testing::kTestWriter;
using testing::OpenVolume;
using testing::Ready;
using ::testing::SizeIs;
using testing::WriterRig;

// The volume has two groups of ten pages; page 20 is the first of a third.
class GrowthStory : public ::testing::Test {
 protected:
  explicit GrowthStory(WriterOptions options = {}) : rig_(std::move(options)) { rig_.AllUp(); }

  absl::Status Check(uint64_t page) {
    absl::Status status = rig_.writer.CheckAppend(10, {PageNo(page)});
    Collect();
    return status;
  }
  void Collect() {
    WriterOutput out = rig_.writer.TakeOutput();
    for (auto& create : out.creates) creates_.push_back(std::move(create));
    for (auto& raise : out.raise_epochs) rig_.raises.push_back(std::move(raise));
    for (auto& send : out.sends) rig_.sends.push_back(std::move(send));
  }
  // What the member of a new group says: made by `create`, not claimed yet.
  static protocol::SegmentStatus Made(const WriterOutput::CreateSegment& create) {
    return {.segment = {kTestVolume, create.member.pg},
            .incarnation = Ready(create.member, 0).incarnation,
            .descriptor = create.request.descriptor,
            .membership = create.request.membership,
            .slot = create.member.slot};
  }
  static protocol::SegmentStatus Claimed(const WriterOutput::RaiseEpoch& raise) {
    protocol::SegmentStatus status = Ready(raise.member, 0);
    if (raise.member.pg == PgId(0)) status.scl = Lsn(40);
    status.descriptor = *raise.request.descriptor;
    return status;
  }
  // Carries out what is asked for on slots below `slots`, once; the rest is lost.
  void CreateOn(int slots) {
    for (const auto& create : std::exchange(creates_, {})) {
      if (create.member.slot < slots) rig_.writer.SegmentCreated(create.member, Made(create));
    }
    Collect();
  }
  void RaiseOn(int slots) {
    for (const auto& raise : std::exchange(rig_.raises, {})) {
      if (raise.member.slot < slots) rig_.writer.EpochRaised(raise.member, Claimed(raise));
    }
    Collect();
  }
  uint32_t groups() const { return rig_.writer.geometry().pg_count; }

  WriterRig rig_;
  std::vector<WriterOutput::CreateSegment> creates_;
};

TEST_F(GrowthStory, AGroupIsMadeThenClaimedThenKnownThenUsed) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_THAT(creates_, SizeIs(6));
  EXPECT_EQ(creates_[3].node, "az2-b");
  EXPECT_EQ(creates_[3].request.pg, PgId(2));
  EXPECT_EQ(creates_[3].request.descriptor.geometry, OpenVolume().descriptor.geometry.Grown(3));
  CreateOn(6);
  ASSERT_THAT(rig_.raises, SizeIs(6));
  EXPECT_EQ(rig_.raises[0].request.segment.pg, PgId(2));
  RaiseOn(6);
  EXPECT_EQ(groups(), 2u) << "nobody knows of it yet";
  ASSERT_THAT(rig_.raises, SizeIs(6));
  for (const auto& raise : rig_.raises) {
    EXPECT_EQ(raise.member.pg, PgId(0)) << "other groups are not asked, however many there are";
  }
  RaiseOn(3);
  EXPECT_EQ(groups(), 2u);
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  rig_.Tick(2000);
  Collect();
  RaiseOn(6);
  ASSERT_EQ(groups(), 3u);
  EXPECT_EQ(rig_.writer.geometry().epoch, GeometryEpoch(2));
  EXPECT_OK(Check(20));

  const Lsn commit = rig_.Append({20});
  EXPECT_THAT(rig_.SentTo(At(2, 5)), SizeIs(1)) << "members that answered are up at once";
  rig_.AckBy(2, {0, 1, 2}, commit.value());
  EXPECT_LT(rig_.writer.vdl(), commit);
  rig_.AckBy(2, {3}, commit.value());
  EXPECT_EQ(rig_.writer.vdl(), commit);
  EXPECT_EQ(rig_.writer.counters().added_groups, 1u);
  EXPECT_THAT(rig_.writer.Progress().growth, IsEmpty());
}

TEST_F(GrowthStory, FourOfSixAreEnoughAndTheRestArePursued) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  CreateOn(4);
  RaiseOn(4);
  RaiseOn(4);
  ASSERT_EQ(groups(), 3u);
  EXPECT_EQ(rig_.writer.Progress().missing_members, 2u);
  EXPECT_EQ(rig_.State(At(2, 5)), MemberState::kDown);
  creates_.clear();
  rig_.writer.Tick(Instant::FromNanos(60'000'000'000));
  Collect();
  ASSERT_THAT(creates_, SizeIs(2));
  CreateOn(6);
  EXPECT_EQ(rig_.writer.Progress().missing_members, 0u);
  RaiseOn(6);
  EXPECT_EQ(rig_.State(At(2, 5)), MemberState::kStreaming);
}

TEST_F(GrowthStory, ThreeOfSixAreNotEnough) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  CreateOn(3);
  RaiseOn(3);
  EXPECT_THAT(rig_.raises, IsEmpty()) << "group 0 must not hear of a group that may be lost";
  EXPECT_THAT(rig_.writer.Progress().growth, HasSubstr("adding pg 2"));
}

TEST_F(GrowthStory, GrowsAheadOfTheWrites) {
  rig_.Append({16});
  Collect();
  EXPECT_THAT(creates_, IsEmpty());
  const auto appended = rig_.writer.Append({{.page = PageNo(18), .payload = "x"}});
  EXPECT_GT(appended.commit_lsn, Lsn());
  Collect();
  EXPECT_THAT(creates_, SizeIs(6)) << "page 18 is in the last quarter of the last group";
}

TEST_F(GrowthStory, SeveralGroupsInOneStep) {
  EXPECT_THAT(Check(55), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(creates_, SizeIs(24));
  CreateOn(6);
  RaiseOn(6);
  RaiseOn(6);
  EXPECT_EQ(groups(), 6u);
  EXPECT_EQ(rig_.writer.geometry().epoch, GeometryEpoch(5)) << "one for every group";
  EXPECT_EQ(rig_.writer.counters().growths, 1u);
}

TEST_F(GrowthStory, RefusalsOfThreeMembersMakeItImpossible) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  for (int slot = 0; slot < 3; ++slot) {
    rig_.writer.SegmentCreated(At(2, slot), absl::AbortedError("another segment is here"));
  }
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("another segment")));
  EXPECT_OK(Check(19));
}

TEST_F(GrowthStory, AFencedWriterAddsNothing) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  rig_.Ack(At(0, 1), 40, absl::FailedPreconditionError("fenced"), kTestEpoch.Next());
  ASSERT_TRUE(rig_.writer.is_fenced());
  CreateOn(6);
  rig_.writer.Tick(Instant::FromNanos(60'000'000'000));
  Collect();
  EXPECT_THAT(creates_, IsEmpty());
  EXPECT_THAT(rig_.raises, IsEmpty());
}

TEST_F(GrowthStory, FinishesWhatAnotherWriterLeft) {
  protocol::SegmentStatus status = Ready(At(0, 4), 40);
  status.descriptor.geometry = status.descriptor.geometry.Grown(4);
  rig_.writer.MemberUp(At(0, 4), status);
  rig_.Tick(1);
  Collect();
  rig_.writer.Tick(Instant::FromNanos(2'000'000'000));
  Collect();
  ASSERT_FALSE(creates_.empty());
  CreateOn(6);
  RaiseOn(6);
  RaiseOn(6);
  EXPECT_EQ(groups(), 4u);
}

TEST_F(GrowthStory, ASegmentThatWasNeverMadeIsMadeOnlyWhereNothingCanBeLost) {
  EXPECT_FALSE(rig_.writer.SegmentMissing(At(1, 3))) << "the group holds records";
  // Nor where there are none: it may have promised an epoch to somebody (simulator, seed 168).
  RecoveredVolume empty = OpenVolume();
  empty.pg_tails[1] = Lsn();
  Writer later(empty, {});
  EXPECT_FALSE(later.SegmentMissing(At(1, 3))) << "another writer added the group";
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  CreateOn(5);
  RaiseOn(5);
  RaiseOn(5);
  ASSERT_EQ(groups(), 3u);
  EXPECT_TRUE(rig_.writer.SegmentMissing(At(2, 5)));
  EXPECT_FALSE(rig_.writer.SegmentMissing(At(2, 4))) << "it was there";
}

// A dead writer's request to make it was still under way (simulator, seeds 1150 and 901685).
class LateSegment : public ::testing::TestWithParam<bool> {};

TEST_P(LateSegment, AMemberThatLacksItsSegmentIsAskedAgain) {
  WriterRig rig;
  rig.Tick(0);
  EXPECT_FALSE(rig.writer.SegmentMissing(At(1, 3), /*is_well=*/GetParam()));
  for (int64_t round = 1; round <= 2; ++round) {
    rig.Tick(10'000 * round);
    ASSERT_THAT(rig.raises, SizeIs(1));
    EXPECT_EQ(rig.raises[0].member, At(1, 3));
    rig.raises.clear();
    rig.writer.EpochRaised(At(1, 3), absl::NotFoundError("no such segment"));
  }
  rig.Tick(22'000);
  EXPECT_THAT(rig.raises, IsEmpty()) << "it may be away for hours";
  rig.Tick(30'000);
  rig.writer.EpochRaised(At(1, 3), Ready(At(1, 3), 0));
  EXPECT_EQ(rig.State(At(1, 3)), MemberState::kBehind) << "it streams, and lacks the past";
}

INSTANTIATE_TEST_SUITE_P(Growth, LateSegment, ::testing::Bool());

// Its directory may be a wrong one: a person must look before anything is made there.
TEST_F(GrowthStory, NothingIsMadeOnANodeThatShowsNothing) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  CreateOn(6);
  RaiseOn(5);
  RaiseOn(5);
  ASSERT_EQ(groups(), 3u);
  rig_.writer.MemberDown(At(2, 5));
  EXPECT_FALSE(rig_.writer.SegmentMissing(At(2, 5), /*is_well=*/false));
  EXPECT_EQ(rig_.writer.Progress().missing_members, 0u);
}

// The answer to the request that made it was lost, and the member was found by its answer to a
// claim: nobody had it made any more, and it was called missing for ever (simulator, seeds 800757
// and 903907).
TEST_F(GrowthStory, AMemberThatAnswersAClaimIsMissingNoMore) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  CreateOn(5);
  RaiseOn(5);
  RaiseOn(5);
  ASSERT_EQ(groups(), 3u);
  ASSERT_EQ(rig_.writer.Progress().missing_members, 1u);
  // A person has the node replace itself, since it lacks the segment; then it is there after all.
  ASSERT_OK(rig_.writer.ReplaceMember(PgId(2), "az3-b", {.node = "az3-b", .zone = "az3"}, false));
  EXPECT_TRUE(rig_.writer.SegmentMissing(At(2, 6)));
  rig_.writer.Tick(Instant::FromNanos(2'000'000'000));
  Collect();
  const auto asked = std::ranges::find(rig_.raises, At(2, 5), &WriterOutput::RaiseEpoch::member);
  ASSERT_NE(asked, rig_.raises.end());
  rig_.writer.EpochRaised(At(2, 5), Claimed(*asked));
  EXPECT_EQ(rig_.State(At(2, 5)), MemberState::kStreaming);
  EXPECT_EQ(rig_.writer.Progress().missing_members, 0u);
}

// Simulator, seed 716 of its first growth: what a dead writer's growth had left lay in another
// slot.
TEST_F(GrowthStory, ALeftoverInThePlaceOfAMemberIsDropped) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  CreateOn(5);
  RaiseOn(5);
  RaiseOn(5);
  ASSERT_EQ(groups(), 3u);
  rig_.writer.SegmentCreated(At(2, 5), absl::AbortedError("exists, in slot 3"));
  rig_.Tick(1);
  ASSERT_THAT(rig_.drops, SizeIs(1));
  EXPECT_EQ(rig_.drops[0].node, "az3-b");
  EXPECT_EQ(rig_.drops[0].request.segment.pg, PgId(2));
  EXPECT_EQ(rig_.writer.Progress().missing_members, 1u) << "and made then";
}

// Simulator, seeds 911094 and 923040: a writer that had paused made a segment anew on a node that
// had lost its disk, with what the former one had promised to the writer's successor.
TEST_F(GrowthStory, ASegmentIsMadeInOneDirectoryAndInNoLaterOne) {
  EXPECT_THAT(Check(20), StatusIs(absl::StatusCode::kResourceExhausted));
  for (const auto& create : creates_) EXPECT_EQ(create.request.directory, kTestDirectory);
  CreateOn(5);
  RaiseOn(5);
  RaiseOn(5);
  ASSERT_EQ(groups(), 3u);
  creates_.clear();
  rig_.writer.NodeSeen("az3-b", kTestDirectory.Next());
  rig_.writer.Tick(Instant::FromNanos(60'000'000'000));
  Collect();
  ASSERT_THAT(creates_, SizeIs(1));
  EXPECT_EQ(creates_[0].member, At(2, 5));
  EXPECT_EQ(creates_[0].request.directory, kTestDirectory);
  rig_.writer.SegmentCreated(At(2, 5), absl::FailedPreconditionError("another directory"));
  EXPECT_EQ(rig_.writer.Progress().missing_members, 0u) << "it is lost, and to be replaced";
}

// Simulator, seed 1204712: a node that had not been heard lost its disk, and what an earlier growth
// had left there, before it was. Its next directory shows nothing, so nothing is made in it.
TEST_F(GrowthStory, ANodeThatIsFirstHeardAfterwardsMustShowThatItIsWell) {
  Growth growth({});
  RecoveredVolume volume = OpenVolume();
  HeardDirectories directories;
  for (const auto& member : volume.memberships[0].members)
    directories[member.node] = {DirectoryId(8)};
  directories.erase("az3-b");
  growth.Want(PageNo(20), volume.descriptor.geometry);
  std::optional<Growth::Done> done;
  for (int round = 0; round < 3; ++round) {
    growth.Pursue(volume, directories, /*proven=*/0, Instant::FromNanos(round));
    Growth::Duties duties = growth.TakeDuties();
    for (const auto& create : duties.creates) {
      growth.SegmentCreated(create.member, Made(create), volume);
    }
    for (const auto& raise : duties.raises) {
      protocol::SegmentStatus status = Ready(raise.member, 0);
      status.descriptor = *raise.request.descriptor;
      growth.EpochRaised(raise.member, status, volume);
    }
  }
  done = growth.TakeDone();
  ASSERT_TRUE(done.has_value());
  volume.descriptor = done->descriptor;
  volume.memberships.push_back(done->memberships[0]);
  directories["az3-b"] = {DirectoryId(9)};
  growth.Pursue(volume, directories, /*proven=*/0, Instant::FromNanos(60'000'000'000));
  EXPECT_THAT(growth.TakeDuties().creates, IsEmpty());
  growth.Missing(At(2, 5));  // as Writer::SegmentMissing says it of a node that is well
  growth.Pursue(volume, directories, /*proven=*/0, Instant::FromNanos(60'000'000'001));
  const Growth::Duties duties = growth.TakeDuties();
  ASSERT_THAT(duties.creates, SizeIs(1));
  EXPECT_EQ(duties.creates[0].member, At(2, 5));
  EXPECT_EQ(duties.creates[0].request.directory, DirectoryId(9));
}

// Simulator, seed 1307704 of the mend of 1204712: one that was heard while the last answer of the
// step came in was asked for nothing, then or later.
TEST(Growth, NothingIsMadeOnANodeThatWasNotHeard) {
  WriterRig rig;
  EXPECT_THAT(rig.writer.CheckAppend(10, {PageNo(20)}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  for (int slot : {0, 1, 2}) rig.writer.MemberUp(At(0, slot), Ready(At(0, slot), 40));
  rig.Take();
  EXPECT_THAT(rig.creates, IsEmpty());
  rig.writer.NodeSeen("az2-b", DirectoryId(8));
  rig.Take();
  EXPECT_THAT(rig.creates, IsEmpty()) << "a newer writer may be open";
  rig.Prove();
  ASSERT_THAT(rig.creates, SizeIs(1));
  EXPECT_EQ(rig.creates[0].node, "az2-b");
  EXPECT_EQ(rig.creates[0].request.directory, DirectoryId(8));
}

class LimitedGrowthStory : public GrowthStory {
 protected:
  LimitedGrowthStory() : GrowthStory({.growth = {.max_volume_bytes = 512 * 30}}) {}
};

TEST_F(LimitedGrowthStory, StopsAtTheLimit) {
  EXPECT_THAT(Check(30), StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("max-volume-bytes")));
  EXPECT_THAT(creates_, IsEmpty());
  EXPECT_THAT(Check(29), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(MembershipOfNewGroup, IsTheLastOnesWithChangesDone) {
  const volume::Membership last = OpenVolume().memberships[1];
  EXPECT_EQ(MembershipOfNewGroup(last), last);
  const auto changing = volume::BeginChange(last, 2, {"az2-c", "az2"});
  ASSERT_OK(changing);
  const volume::Membership next = MembershipOfNewGroup(*changing);
  EXPECT_EQ(next.epoch, changing->epoch);
  EXPECT_THAT(next.changes, IsEmpty());
  EXPECT_TRUE(next.SlotOf("az2-c").has_value());
  EXPECT_FALSE(next.SlotOf("az2-a").has_value());
  EXPECT_OK(volume::ValidateMembership(next));
}

// --- what recovery finds after a crash in each step

class GrownDiscovery : public ::testing::Test {
 protected:
  // Slot `slot`'s node, with groups 0 and 1 and perhaps a third; it believes in `believes` groups.
  void Answer(int slot, uint32_t believes, bool has_third) {
    protocol::NodeStatus status;
    for (uint32_t pg = 0; pg < (has_third ? 3u : 2u); ++pg) {
      protocol::SegmentStatus segment = Ready(At(pg, slot), 0);
      segment.descriptor.geometry = segment.descriptor.geometry.Grown(pg == 0 ? believes : 3);
      status.segments.push_back(segment);
    }
    discovery_.Answered(OpenVolume().memberships[0].members[slot].node, status);
  }

  Discovery discovery_{kTestVolume, {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"}};
};

TEST_F(GrownDiscovery, LeftoversBeyondGroupZerosGeometryAreIgnored) {
  for (int slot = 0; slot < 3; ++slot) Answer(slot, 2, true);
  ASSERT_TRUE(discovery_.IsComplete());
  EXPECT_EQ(discovery_.Result().descriptor.geometry.pg_count, 2u);
  EXPECT_THAT(discovery_.Result().memberships, SizeIs(2));
}

TEST_F(GrownDiscovery, AGeometryOnOneMemberOfGroupZeroIsAdoptedOnceItsGroupsAnswer) {
  for (int slot = 0; slot < 2; ++slot) Answer(slot, 2, true);
  Answer(2, 3, false);
  EXPECT_FALSE(discovery_.IsComplete()) << discovery_.Describe();
  Answer(3, 2, true);
  ASSERT_TRUE(discovery_.IsComplete());
  EXPECT_EQ(discovery_.Result().descriptor.geometry.pg_count, 3u);
  EXPECT_THAT(discovery_.Result().memberships, SizeIs(3));
}

}  // namespace
}  // namespace sextant::compute
