// Stories of recovery, phase by phase.
#include "compute-node/volume/recovery.h"

#include "compute-node/volume/recovery_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kMe;
using testing::kVolume;
using testing::RecoveryStory;
using testing::ScriptedMember;
using testing::SixMembers;
using ::testing::SizeIs;

TEST_F(RecoveryStory, AnEmptyVolumeOpens) {
  for (ScriptedMember& m : members_) m = {.epoch = VolumeEpoch(), .writer = WriterId()};
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  const RecoveredVolume& volume = recovery_.result();
  EXPECT_EQ(volume.epoch, VolumeEpoch(1));
  EXPECT_EQ(volume.vdl, Lsn());
  EXPECT_EQ(volume.next_lsn, Lsn(1001));
  EXPECT_EQ(volume.lal, 1000u) << "the writer allocates no further than this truncation reaches";
  EXPECT_THAT(volume.pg_tails, ElementsAre(Lsn()));
  EXPECT_THAT(volume.truncations,
              ElementsAre(volume::Truncation{VolumeEpoch(1), Lsn(), Lsn(1000)}));
}

TEST_F(RecoveryStory, ACleanRestartWritesNothingBack) {
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(18);
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen);
  EXPECT_EQ(recovery_.result().epoch, VolumeEpoch(5));
  EXPECT_EQ(recovery_.result().writer, kMe);
  EXPECT_EQ(recovery_.result().vdl, Lsn(20)) << "the tail above the known VDL survives";
  EXPECT_THAT(sent_headers_, IsEmpty());
}

TEST_F(RecoveryStory, LsnsOfEveryEarlierWriterAreCutOff) {
  // Epoch 4 opened at VDL 20 and gave out LSNs above 1020, none of which is left.
  for (ScriptedMember& m : members_) m.truncations = {{VolumeEpoch(4), Lsn(20), Lsn(1020)}};
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen);
  EXPECT_EQ(recovery_.result().truncations.back(),
            (volume::Truncation{VolumeEpoch(5), Lsn(20), Lsn(2020)}));
  EXPECT_EQ(recovery_.result().next_lsn, Lsn(2021));
}

TEST_F(RecoveryStory, WaitsForAReadQuorumAndSaysForWhom) {
  for (int slot : {1, 2, 3, 4}) members_[slot].is_up = false;
  Start();
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.phase(), Phase::kDiscover);
  EXPECT_THAT(recovery_.Describe(), HasSubstr("2 of 3 members"));
  EXPECT_THAT(recovery_.Describe(), HasSubstr("az1-b, az2-a, az2-b, az3-a"));
  Tick(absl::Milliseconds(499));
  EXPECT_THAT(duties_, IsEmpty());
  members_[2].is_up = true;
  Tick(absl::Milliseconds(1));
  EXPECT_THAT(duties_, SizeIs(6));
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.phase(), Phase::kFence) << "three are no write quorum";
  EXPECT_THAT(recovery_.Describe(), HasSubstr("3 of 4 members of pg 0"));
  members_[4].is_up = true;
  Tick(absl::Milliseconds(500));
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.phase(), Phase::kOpen);
}

TEST_F(RecoveryStory, ASurvivingTailGoesToAWriteQuorumBeforeItCounts) {
  members_[0].scl = Lsn(25);
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
  members_[5].scl = Lsn(10);
  Start();
  RunTo(Phase::kTruncate);
  ASSERT_EQ(recovery_.phase(), Phase::kTruncate);
  EXPECT_GE(
      std::ranges::count_if(members_, [](const ScriptedMember& m) { return m.scl >= Lsn(25); }), 4);
  ASSERT_FALSE(sent_headers_.empty());
  for (const log::BatchHeader& header : sent_headers_) {
    EXPECT_EQ(header.vdl, Lsn(15)) << "not durable yet, so not announced";
    EXPECT_EQ(header.pg_lsn_at_vdl, Lsn(15));
  }
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.result().vdl, Lsn(25));
}

TEST_F(RecoveryStory, ARivalWithAHigherEpochSendsItBackUnderAHigherOne) {
  Start();
  RunTo(Phase::kFence);
  for (int slot : {0, 1}) members_[slot].epoch = VolumeEpoch(9);
  RunTo(Phase::kReadTail);
  EXPECT_EQ(recovery_.phase(), Phase::kDiscover);
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen);
  EXPECT_GT(recovery_.result().epoch, VolumeEpoch(9));
}

TEST_F(RecoveryStory, GivesUpOnARivalThatAlwaysWins) {
  Start();
  for (int i = 0; i < 100 && recovery_.phase() != Phase::kFailed; ++i) {
    RunTo(Phase::kFence);
    for (ScriptedMember& m : members_) m.epoch = m.epoch.Next().Next();
    RunTo(Phase::kReadTail);
    Tick(absl::Seconds(20));
  }
  ASSERT_EQ(recovery_.phase(), Phase::kFailed);
  EXPECT_EQ(recovery_.error().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(recovery_.TakeDuties(), IsEmpty());
}

TEST_F(RecoveryStory, ATruncationFoundLateMakesEveryMemberAnswerAgain) {
  // The last to answer knows what no member of the first read quorum does.
  members_[5].truncations = {{VolumeEpoch(4), Lsn(20), Lsn(1020)}};
  Start();
  RunTo(Phase::kFence);
  for (int slot : {0, 1, 2}) EXPECT_THAT(members_[slot].truncations, IsEmpty());
  members_[0].is_up = members_[1].is_up = false;
  RunTo(Phase::kReadTail);
  members_[0].is_up = members_[1].is_up = true;
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen);
  EXPECT_THAT(recovery_.result().truncations, SizeIs(2));
  EXPECT_EQ(recovery_.result().epoch, VolumeEpoch(5)) << "the same claim";
}

TEST_F(RecoveryStory, AnUnfinishedTruncationIsNotRevived) {
  // Recovery 5 cut at 20 on one member only and died. Recovery 6 did not see it, kept 21 to 25, and
  // opened. Epoch 5's truncation would annul what epoch 6 acknowledged.
  const volume::Truncation unfinished{VolumeEpoch(5), Lsn(20), Lsn(1020)};
  const volume::Truncation opened{VolumeEpoch(6), Lsn(25), Lsn(1025)};
  for (ScriptedMember& m : members_) {
    m = {.epoch = VolumeEpoch(6), .truncations = {opened}, .scl = Lsn(25)};
  }
  members_[0] = {.epoch = VolumeEpoch(5), .truncations = {unfinished}, .scl = Lsn(20)};
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen);
  EXPECT_EQ(recovery_.result().vdl, Lsn(25));
  EXPECT_THAT(recovery_.result().truncations,
              ElementsAre(opened, volume::Truncation{VolumeEpoch(7), Lsn(25), Lsn(2025)}));
}

TEST_F(RecoveryStory, WhatAFormerSegmentStoredIsNotCounted) {
  members_[0].scl = members_[1].scl = Lsn(30);
  Start();
  RunTo(Phase::kWriteBack);
  ASSERT_EQ(recovery_.phase(), Phase::kWriteBack);
  for (quorum::Slot slot = 2; slot < 6; ++slot) {
    recovery_.BatchAcked({PgId(0), slot},
                         {.segment = {kVolume, PgId(0)},
                          .incarnation = IncarnationId(99),
                          .epoch = members_[slot].epoch,
                          .scl = Lsn(30)},
                         now_);
  }
  EXPECT_EQ(recovery_.phase(), Phase::kWriteBack);
  Collect();
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.phase(), Phase::kOpen);
}

TEST_F(RecoveryStory, AnswersOutOfPhaseDoNoHarm) {
  Start();
  const protocol::NodeStatus late{.segments = {Status(0)}};
  recovery_.LogRead({PgId(9), 9}, protocol::ReadLogReply{}, now_);
  recovery_.EpochRaised({PgId(0), 0}, Status(0), now_);
  recovery_.BatchAcked({PgId(0), 0}, {.scl = Lsn(99)}, now_);
  RunTo(Phase::kReadTail);
  recovery_.NodeAnswered("az1-a", late, now_);
  recovery_.LogRead({PgId(3), 0}, protocol::ReadLogReply{}, now_);
  recovery_.LogRead({PgId(0), 0}, protocol::ReadLogReply{}, now_);
  Collect();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen);
  recovery_.EpochRaised({PgId(0), 0}, absl::FailedPreconditionError("late"), now_);
  recovery_.NodeAnswered("az1-a", late, now_);
  EXPECT_EQ(recovery_.phase(), Phase::kOpen);
  EXPECT_THAT(recovery_.TakeDuties(), IsEmpty());
}

TEST_F(RecoveryStory, AGrowthBetweenQuestionsAndFenceIsLookedFor) {
  Start();
  RunTo(Phase::kFence);
  // The old writer gets there first, on the last of the write quorum; its new group may be in use.
  members_[3].pg_count = 2;
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.phase(), Phase::kDiscover) << recovery_.Describe();
  EXPECT_THAT(recovery_.Describe(), HasSubstr("pg 1: 0 of 3"));
}

TEST_F(RecoveryStory, MembersThatOnlyTheFenceTellsOfAreTheOnesThatCount) {
  Start();
  RunTo(Phase::kFence);
  // The old writer replaced az1-a after the questions; the last of the write quorum says so.
  members_.push_back({.is_up = false});
  members_[3].membership =
      *volume::FinishChange(*volume::BeginChange(SixMembers(), 0, {"az1-c", "az1"}), /*from=*/0);
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_FALSE(recovery_.result().memberships[0].IsActive(0));
  EXPECT_EQ(recovery_.result().memberships[0].members[6].node, "az1-c");
}

TEST_F(RecoveryStory, ASegmentInAnothersPlaceDoesNotCount) {
  Start();
  for (const char* node : {"az1-a", "az1-b", "az2-a"}) {
    // az1-a's segment, on whatever node.
    recovery_.NodeAnswered(node, protocol::NodeStatus{.segments = {Status(0)}}, now_);
  }
  EXPECT_EQ(recovery_.phase(), Phase::kDiscover);
}

TEST_F(RecoveryStory, AMemberFencedLateMayHaveALogThatStartsAboveTheKnownVdl) {
  for (int slot : {4, 5}) members_[slot].is_up = false;
  members_[3].is_damaged = true;
  members_[2].read_error = absl::UnavailableError("slow");
  Start();
  RunTo(Phase::kReadTail);
  members_[4] = {.scl = Lsn(22), .known_vdl = Lsn(15), .log_start = Lsn(15)};
  duties_.clear();  // lost
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_GE(recovery_.result().vdl, Lsn(20));
}

}  // namespace
}  // namespace sextant::compute
