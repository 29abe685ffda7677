// Stories of members that change under a Writer: who counts when, who is told, what is made and
// dropped. Random schedules are in membership_schedule_test.cc.
#include <algorithm>

#include "common/testing/status_matchers.h"
#include "compute-node/volume/writer_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using sextant::testing::StatusIs;
using testing::At;
using ::testing::HasSubstr;
using testing::kTestEpoch;
using testing::kTestVolume;
using testing::OpenVolume;
using testing::Ready;
using testing::WriterRig;

const protocol::NodeStatus kSpare{.node = "az3-c", .zone = "az3"};

class MembershipStory : public ::testing::Test {
 protected:
  MembershipStory() {
    rig_.Tick(0);
    rig_.AllUp();
    rig_.Tick(1);
    rig_.raises.clear();
  }

  Writer& writer() { return rig_.writer; }
  const volume::Membership& Newest() { return writer().MembershipOf(PgId(0)); }
  PgProgress Group() { return writer().Progress().pgs[0]; }

  absl::Status Replace(const std::string& from, const protocol::NodeStatus& to, bool hold = false) {
    const absl::Status status = writer().ReplaceMember(PgId(0), from, to, hold);
    rig_.Take();
    return status;
  }
  absl::Status Undo(const std::string& from) {
    const absl::Status status = writer().UndoReplacement(PgId(0), from);
    rig_.Take();
    return status;
  }
  // What the segment at `slot` says once it knows the newest membership.
  protocol::SegmentStatus Knowing(int slot, uint64_t scl) {
    protocol::SegmentStatus status = Ready(At(0, slot), scl);
    status.membership = Newest();
    return status;
  }
  void Answer(std::initializer_list<int> slots) {
    for (int slot : slots) {
      const auto scl = writer().Member(At(0, slot)).scl.value();
      writer().EpochRaised(At(0, slot), Knowing(slot, scl));
      rig_.Take();
    }
  }
  void CandidateUp(int slot, uint64_t scl) {
    writer().SegmentSeen(Newest().members[slot].node, Knowing(slot, scl));
    rig_.Take();
  }

  WriterRig rig_;
};

TEST_F(MembershipStory, AReplacementFromBeginToEnd) {
  ASSERT_OK(Replace("az3-b", kSpare));
  rig_.Prove();
  ASSERT_EQ(rig_.creates.size(), 1u);
  EXPECT_EQ(rig_.creates[0].node, "az3-c");
  EXPECT_EQ(rig_.creates[0].request.slot, 6);
  EXPECT_EQ(rig_.raises.size(), 6u) << "all that stream are told, and go on streaming";
  const Lsn commit = rig_.Append({1});
  EXPECT_EQ(rig_.SentTo(At(0, 0)), (std::vector<uint64_t>{commit.value()}));

  // Four of the old with the suspect: not four of the new.
  rig_.AckBy(0, {0, 1, 2, 5}, commit.value());
  EXPECT_LT(writer().vdl(), commit);
  rig_.AckBy(0, {3}, commit.value());
  EXPECT_EQ(writer().vdl(), commit);

  Answer({0, 1, 2});
  EXPECT_FALSE(Group().is_in_effect);
  Answer({3});
  EXPECT_TRUE(Group().is_in_effect);
  CandidateUp(6, 0);
  EXPECT_EQ(Group().changes.size(), 1u);
  rig_.Ack(At(0, 6), 40);  // what was durable when the change began
  EXPECT_TRUE(Group().changes.empty()) << "finished";
  EXPECT_FALSE(Group().is_in_effect);
  EXPECT_TRUE(rig_.drops.empty());
  Answer({0, 1, 2, 3});
  EXPECT_TRUE(Group().is_in_effect);
  EXPECT_EQ(Newest().SlotOf("az3-c"), 6);
  rig_.Tick(2);
  ASSERT_EQ(rig_.drops.size(), 1u);
  EXPECT_EQ(rig_.drops[0].node, "az3-b");
  EXPECT_EQ(rig_.drops[0].request.membership, Newest());

  rig_.sends.clear();
  const Lsn next = rig_.Append({1});
  EXPECT_TRUE(rig_.SentTo(At(0, 5)).empty());
  rig_.AckBy(0, {0, 1, 2, 6}, next.value());
  EXPECT_EQ(writer().vdl(), next);
}

TEST_F(MembershipStory, PgclStaysWhenTheNewSetHoldsLess) {
  const Lsn commit = rig_.Append({1});
  rig_.AckBy(0, {0, 1, 2, 5}, commit.value());
  ASSERT_EQ(writer().vdl(), commit);
  ASSERT_OK(Replace("az3-b", kSpare));
  EXPECT_EQ(Group().pgcl, commit);
  EXPECT_EQ(Group().changes[0].target, commit);
  Answer({0, 1, 2, 3});
  CandidateUp(6, 40);
  EXPECT_EQ(Group().changes.size(), 1u) << "the candidate must hold what was durable first";
  rig_.Ack(At(0, 6), commit.value());
  EXPECT_TRUE(Group().changes.empty());
}

TEST_F(MembershipStory, ACandidateThatIsLostEndsItsChange) {
  ASSERT_OK(Replace("az3-b", kSpare));
  EXPECT_TRUE(writer().SegmentMissing(At(0, 6))) << "it is yet to be made";
  CandidateUp(6, 0);
  Answer({0, 1, 2, 3});
  EXPECT_FALSE(writer().SegmentMissing(At(0, 6)));
  rig_.Tick(2);
  EXPECT_TRUE(Group().changes.empty());
  EXPECT_EQ(Newest().SlotOf("az3-b"), 5) << "undone";
  Answer({0, 1, 2, 3});
  writer().SegmentDropped("az3-c", {kTestVolume, PgId(0)}, absl::OkStatus());
  ASSERT_OK(Replace("az3-b", kSpare));

  // Made anew by a request that had been under way.
  Answer({0, 1, 2, 3});
  const auto candidate = static_cast<int>(*Newest().SlotOf("az3-c"));
  CandidateUp(candidate, 0);
  protocol::SegmentStatus other = Knowing(candidate, 0);
  other.incarnation = IncarnationId(4711);
  writer().SegmentSeen("az3-c", other);
  rig_.Tick(3);
  EXPECT_TRUE(Group().changes.empty());
}

TEST_F(MembershipStory, ACandidateIsMadeInTheDirectoryThatItsNodeHadThen) {
  protocol::NodeStatus spare = kSpare;
  spare.directory = DirectoryId(8);
  ASSERT_OK(Replace("az3-b", spare));
  rig_.Prove();
  writer().NodeSeen("az3-c", DirectoryId(9));
  rig_.Tick(2000);
  ASSERT_EQ(rig_.creates.size(), 2u);
  for (const auto& create : rig_.creates) EXPECT_EQ(create.request.directory, DirectoryId(8));
  writer().SegmentCreated(At(0, 6), absl::FailedPreconditionError("another directory"));
  Answer({0, 1, 2, 3});
  EXPECT_TRUE(Group().changes.empty());
  EXPECT_EQ(Newest().SlotOf("az3-b"), 5) << "undone";
}

// Seed 2119117: a succeeded writer was asked to have a segment made in a slot that its successors
// had given the same node, and whose segment was lost with the disk. It took the directory that the
// node had by then for the one that was meant.
TEST_F(MembershipStory, ACandidateIsMadeOnceNoNewerWriterWasOpenWhenItsDirectoryWasHeardOf) {
  ASSERT_OK(Replace("az3-b", kSpare));
  rig_.Tick(2000);
  rig_.Tick(4000);
  EXPECT_TRUE(rig_.creates.empty());
  writer().EpochAnswered(At(0, 0), {.segment = {kTestVolume, PgId(0)},
                                    .round = writer().counters().proof_rounds,
                                    .epoch = kTestEpoch.Next()});
  rig_.Tick(6000);
  EXPECT_TRUE(writer().is_fenced());
  EXPECT_TRUE(rig_.creates.empty());
}

// Of a change that an earlier writer began: it hears of the directory by itself.
TEST_F(MembershipStory, AChangeThatIsGoneOnWithNeedsTheProofAsWell) {
  ASSERT_OK(Replace("az3-b", kSpare, /*hold=*/true));
  RecoveredVolume volume = OpenVolume();
  volume.memberships[0] = Newest();
  Writer next(volume, {});
  next.Tick(Instant::FromNanos(0));
  for (int slot : {0, 1, 2, 3}) next.MemberUp(At(0, slot), Knowing(slot, 40));
  next.NodeSeen("az3-c", DirectoryId(9));
  next.Tick(Instant::FromNanos(2'000'000'000));
  EXPECT_TRUE(next.TakeOutput().creates.empty());
  for (int slot : {0, 1, 2}) {
    next.EpochAnswered(At(0, slot), {.segment = {kTestVolume, PgId(0)},
                                     .incarnation = Ready(At(0, slot), 0).incarnation,
                                     .round = next.counters().proof_rounds,
                                     .epoch = kTestEpoch});
  }
  EXPECT_EQ(next.TakeOutput().creates.size(), 1u);
}

// Seed 937 of the simulator: what was never made counted, and the change was over.
TEST_F(MembershipStory, ACandidateOfAnEmptyGroupMustExistAsWell) {
  RecoveredVolume empty = OpenVolume();
  empty.pg_tails[0] = Lsn();
  Writer writer(empty, {});
  writer.Tick(Instant::FromNanos(0));
  const auto answer = [&](int slot) {
    protocol::SegmentStatus status = Ready(At(0, slot), 0);
    status.membership = writer.MembershipOf(PgId(0));
    writer.SegmentSeen(status.membership.members[slot].node, status);
  };
  for (int slot = 0; slot < 6; ++slot) answer(slot);
  ASSERT_OK(writer.ReplaceMember(PgId(0), "az3-b", kSpare, /*hold=*/false));
  for (int slot = 0; slot < 6; ++slot) answer(slot);
  writer.Tick(Instant::FromNanos(1));
  EXPECT_EQ(writer.MembershipOf(PgId(0)).changes.size(), 1u);
  answer(6);
  EXPECT_TRUE(writer.MembershipOf(PgId(0)).changes.empty());
}

TEST_F(MembershipStory, UndoneBeforeAndAfterItIsInEffect) {
  ASSERT_OK(Replace("az3-b", kSpare));
  ASSERT_OK(Undo("az3-b"));
  EXPECT_EQ(Group().changes.size(), 1u) << "one step at a time";
  Answer({0, 1, 2, 3});
  EXPECT_TRUE(Group().changes.empty());
  EXPECT_FALSE(Group().is_in_effect);
  EXPECT_THAT(Replace("az3-b", kSpare),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("not in effect")));
  Answer({0, 1, 2, 3});
  EXPECT_TRUE(Group().is_in_effect);
  rig_.Tick(2);
  ASSERT_EQ(rig_.drops.size(), 1u);
  EXPECT_EQ(rig_.drops[0].node, "az3-c");
  EXPECT_THAT(Replace("az3-b", kSpare),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("dropped")));
  writer().SegmentDropped("az3-c", {kTestVolume, PgId(0)}, absl::OkStatus());
  ASSERT_OK(Replace("az3-b", kSpare, /*hold=*/true));
  EXPECT_THAT(Undo("az1-a"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("not being replaced")));
  Answer({0, 1, 2, 3});
  CandidateUp(6, 40);
  EXPECT_EQ(Group().changes.size(), 1u) << "held";
  EXPECT_TRUE(Group().changes[0].is_held);
  ASSERT_OK(Replace("az3-b", kSpare)) << "asked again: let go";
  EXPECT_TRUE(Group().changes.empty());
  EXPECT_THAT(Undo("az3-b"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("finished")));
}

TEST_F(MembershipStory, TwoChangesNestAndEndInAnyOrder) {
  ASSERT_OK(Replace("az3-b", kSpare));
  EXPECT_THAT(Replace("az1-a", {.node = "az1-c", .zone = "az1"}),
              StatusIs(absl::StatusCode::kUnavailable));
  Answer({0, 1, 2, 3});
  ASSERT_OK(Replace("az1-a", {.node = "az1-c", .zone = "az1"}));
  const Lsn commit = rig_.Append({1});
  rig_.AckBy(0, {1, 2, 3, 5}, commit.value());
  EXPECT_LT(writer().vdl(), commit) << "three of the set without az1-a and az3-b";
  rig_.AckBy(0, {4}, commit.value());
  EXPECT_EQ(writer().vdl(), commit);
  Answer({1, 2, 3, 4});
  CandidateUp(7, 40);
  rig_.Ack(At(0, 7), commit.value());
  ASSERT_EQ(Group().changes.size(), 1u);
  EXPECT_EQ(Group().changes[0].to, 6);
  Answer({1, 2, 3, 4});
  ASSERT_OK(Undo("az3-b"));
  Answer({1, 2, 3, 4});
  EXPECT_TRUE(Group().is_in_effect);
  EXPECT_EQ(Newest().Sets().sets(), (std::vector<quorum::SlotSet>{{1, 2, 3, 4, 5, 7}}));
}

TEST_F(MembershipStory, AMemberThatWasNotToldIsToldWhenItRefuses) {
  ASSERT_OK(Replace("az3-b", kSpare));
  Answer({0, 1, 2, 3});
  rig_.raises.clear();
  rig_.Ack(At(0, 4), 40, absl::FailedPreconditionError("tell of the members"));
  ASSERT_EQ(rig_.raises.size(), 1u);
  EXPECT_EQ(*rig_.raises[0].request.membership, Newest());
  Answer({4});
  EXPECT_EQ(rig_.State(At(0, 4)), MemberState::kStreaming);
}

TEST_F(MembershipStory, AWipedNodeReplacesItself) {
  protocol::NodeStatus node{.node = "az3-b", .zone = "az3", .segments = {Ready(At(0, 5), 40)}};
  EXPECT_THAT(Replace("az3-b", node),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("still holds")));
  writer().MemberDown(At(0, 5));
  node.segments.clear();
  ASSERT_OK(Replace("az3-b", node));
  rig_.Prove();
  ASSERT_EQ(rig_.creates.size(), 1u);
  EXPECT_EQ(rig_.creates[0].request.slot, 6);
  Answer({0, 1, 2, 3});
  CandidateUp(6, 40);
  EXPECT_EQ(writer().SlotOf("az3-b", PgId(0)), 6);
  Answer({0, 1, 2, 3});
  EXPECT_TRUE(Group().is_in_effect);
  EXPECT_EQ(Newest().SlotOf("az3-b"), 6);
  EXPECT_THAT(Undo("az3-b"), StatusIs(absl::StatusCode::kNotFound));
}

// It was not there when it was looked for, and was made by a request that had been under way.
TEST_F(MembershipStory, AReplacementByItselfEndsWhereTheSegmentIsThereAfterAll) {
  const protocol::NodeStatus node{.node = "az3-b", .zone = "az3"};
  EXPECT_THAT(Replace("az3-b", node), StatusIs(absl::StatusCode::kFailedPrecondition));
  writer().MemberDown(At(0, 5));
  ASSERT_OK(Replace("az3-b", node));
  Answer({0, 1, 2, 3});
  CandidateUp(5, 40);
  rig_.Tick(2);
  EXPECT_TRUE(Group().changes.empty());
  EXPECT_EQ(Newest().SlotOf("az3-b"), 5);
}

// Seed 2001988: a group that was just added had four segments. One of the four was to be replaced,
// the writer died, and no write quorum of the new set ever answered the next one.
TEST_F(MembershipStory, AWriteQuorumOfThoseThatAreLeftMustExist) {
  Writer writer(OpenVolume(), {});
  writer.Tick(Instant::FromNanos(0));
  for (int slot : {0, 1, 2, 5}) writer.MemberUp(At(0, slot), Ready(At(0, slot), 40));
  const auto replace = [&](const std::string& from) {
    return writer.ReplaceMember(PgId(0), from, kSpare, /*hold=*/true);
  };
  EXPECT_THAT(replace("az3-b"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("only 3")));
  EXPECT_EQ(writer.MembershipOf(PgId(0)).changes.size(), 0u);
  EXPECT_OK(replace("az3-a")) << "it is one of those without";
}

TEST_F(MembershipStory, ANodeThatReplacesItselfIsAskedForItsOldSegment) {
  Writer writer(OpenVolume(), {});
  writer.Tick(Instant::FromNanos(0));
  for (int slot : {0, 1, 2, 3}) writer.MemberUp(At(0, slot), Ready(At(0, slot), 40));
  ASSERT_OK(writer.ReplaceMember(PgId(0), "az3-b", {.node = "az3-b", .zone = "az3"}, false));
  EXPECT_TRUE(writer.SegmentMissing(At(0, 6)));
  writer.TakeOutput();
  writer.Tick(Instant::FromNanos(2'000'000'000));
  const WriterOutput output = writer.TakeOutput();
  EXPECT_TRUE(std::ranges::any_of(output.raise_epochs,
                                  [](const auto& raise) { return raise.member == At(0, 5); }));
}

// A segment of the node's former time in that slot, or one that a late request of that time made: a
// late drop may still take it (seed 1012366), so it counts for nothing before it was told.
TEST_F(MembershipStory, WhoComesBackToItsSlotCountsOnceItWasToldOfThat) {
  ASSERT_OK(Replace("az3-b", kSpare));
  Answer({0, 1, 2, 3});
  CandidateUp(6, 40);
  Answer({0, 1, 2, 3});
  rig_.Tick(2);
  ASSERT_EQ(rig_.drops.size(), 1u);
  writer().SegmentDropped("az3-b", {kTestVolume, PgId(0)}, absl::OkStatus());
  ASSERT_OK(Replace("az3-c", {.node = "az3-b", .zone = "az3"}, /*hold=*/true));
  ASSERT_EQ(Newest().SlotOf("az3-b"), 5);
  Answer({0, 1, 2, 3});
  rig_.raises.clear();
  writer().SegmentSeen("az3-b", Ready(At(0, 5), 40));
  rig_.Take();
  EXPECT_EQ(rig_.State(At(0, 5)), MemberState::kRaisingEpoch);
  ASSERT_EQ(rig_.raises.size(), 1u);
  EXPECT_EQ(*rig_.raises[0].request.membership, Newest());
  const Lsn commit = rig_.Append({1});
  rig_.Ack(At(0, 5), commit.value());
  rig_.AckBy(0, {0, 1, 2, 6}, commit.value());  // three of the set with az3-b
  EXPECT_LT(writer().vdl(), commit);
  writer().EpochRaised(At(0, 5), Knowing(5, 40));
  rig_.Take();
  EXPECT_EQ(rig_.State(At(0, 5)), MemberState::kStreaming);
  rig_.Ack(At(0, 5), commit.value());
  EXPECT_EQ(writer().vdl(), commit);
}

TEST_F(MembershipStory, ImpossibleOnesChangeNothing) {
  const MembershipEpoch before = Newest().epoch;
  EXPECT_THAT(Replace("az9-z", kSpare), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Replace("az1-a", kSpare),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("zone")));
  EXPECT_THAT(writer().ReplaceMember(PgId(9), "az3-b", kSpare, false),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("2 protection groups")));
  EXPECT_EQ(Newest().epoch, before);
}

TEST_F(MembershipStory, ASegmentThatCountsNoMoreIsDroppedWhereverItIsFound) {
  protocol::SegmentStatus stray = Ready(At(0, 6), 40);
  writer().SegmentSeen("az2-c", stray);
  rig_.Tick(2);
  ASSERT_EQ(rig_.drops.size(), 1u);
  EXPECT_EQ(rig_.drops[0].node, "az2-c");
  writer().SegmentDropped("az2-c", stray.segment, absl::UnavailableError("away"));
  rig_.Tick(10'000);
  EXPECT_EQ(rig_.drops.size(), 2u);
  writer().SegmentDropped("az2-c", stray.segment, absl::OkStatus());
  rig_.Tick(20'000);
  EXPECT_EQ(rig_.drops.size(), 2u);
}

}  // namespace
}  // namespace sextant::compute
