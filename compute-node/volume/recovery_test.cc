// Stories of recovery, phase by phase, over six scripted members of one protection group.
#include "compute-node/volume/recovery.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr VolumeId kVolume{7};
constexpr WriterId kMe{3};
using Phase = Recovery::Phase;

const std::vector<std::string> kNodes = {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"};

volume::Membership SixMembers() {
  volume::Membership membership;
  for (const std::string& node : kNodes) membership.members.push_back({node, node.substr(0, 3)});
  return membership;
}

// What a member is and answers; the log is dense LSNs through scl, of one-record transactions.
struct Member {
  bool is_up = true;
  VolumeEpoch epoch{4};
  WriterId writer{40};
  std::vector<volume::Truncation> truncations;
  Lsn scl;
  Lsn known_vdl;
  Lsn log_start;
  bool is_damaged = false;
  absl::Status read_error;
  volume::Membership membership = SixMembers();
  uint32_t pg_count = 1;  // as far as it knows
};

class RecoveryStory : public ::testing::Test {
 protected:
  RecoveryStory() : recovery_(kVolume, kMe, kNodes, {.lal = 1000}), members_(6) {
    for (Member& member : members_) member.scl = Lsn(20);
  }

  protocol::SegmentStatus Status(int slot) const {
    const Member& m = members_[slot];
    protocol::SegmentStatus status{.segment = {kVolume, PgId(0)},
                                   .incarnation = IncarnationId(slot + 1u),
                                   .descriptor = {.volume = kVolume},
                                   .membership = m.membership,
                                   .slot = static_cast<quorum::Slot>(slot),
                                   .epoch = m.epoch,
                                   .writer = m.writer,
                                   .truncations = m.truncations,
                                   .scl = m.scl,
                                   .known_vdl = m.known_vdl,
                                   .pg_lsn_at_vdl = m.known_vdl,
                                   .log_start = m.log_start,
                                   .is_damaged = m.is_damaged};
    status.descriptor.geometry = status.descriptor.geometry.Grown(m.pg_count);
    return status;
  }

  void Start() {
    recovery_.Start(now_);
    Collect();
  }
  void Collect() {
    for (Recovery::Duty& duty : recovery_.TakeDuties()) duties_.push_back(std::move(duty));
  }
  void Tick(absl::Duration later) {
    now_ = now_ + later;
    recovery_.Tick(now_);
    Collect();
  }

  // Carries out duties in order until none is left or the phase is reached.
  void RunTo(Phase phase) {
    while (recovery_.phase() != phase && !duties_.empty()) {
      Recovery::Duty duty = std::move(duties_.front());
      duties_.erase(duties_.begin());
      std::visit([this](const auto& d) { CarryOut(d); }, duty);
      Collect();
    }
  }

  void CarryOut(const Recovery::AskNode& duty) {
    const int slot = static_cast<int>(std::ranges::find(kNodes, duty.node) - kNodes.begin());
    if (!members_[slot].is_up) return;
    recovery_.NodeAnswered(duty.node, protocol::NodeStatus{.segments = {Status(slot)}}, now_);
  }
  void CarryOut(const Recovery::RaiseEpoch& duty) {
    Member& m = members_[duty.member.slot];
    if (!m.is_up) return;
    if (duty.request.epoch < m.epoch ||
        (duty.request.epoch == m.epoch && duty.request.writer != m.writer)) {
      return recovery_.EpochRaised(duty.member, absl::FailedPreconditionError("claimed"), now_);
    }
    m.epoch = duty.request.epoch;
    m.writer = duty.request.writer;
    if (duty.request.membership->epoch > m.membership.epoch) {
      m.membership = *duty.request.membership;
    }
    if (LastTruncationEpoch(duty.request.truncations) > LastTruncationEpoch(m.truncations)) {
      m.truncations = duty.request.truncations;
      m.scl = std::min(m.scl, m.truncations.back().vdl);
    }
    recovery_.EpochRaised(duty.member, Status(duty.member.slot), now_);
  }
  void CarryOut(const Recovery::ReadLog& duty) {
    const Member& m = members_[duty.member.slot];
    if (!m.is_up) return;
    if (!m.read_error.ok()) return recovery_.LogRead(duty.member, m.read_error, now_);
    if (duty.request.after < m.log_start) {
      return recovery_.LogRead(duty.member, absl::OutOfRangeError("collected"), now_);
    }
    protocol::ReadLogReply reply{.scl = m.scl};
    const Lsn last = std::min(duty.request.through, m.scl);
    for (Lsn lsn = duty.request.after.Next(); lsn <= last; lsn = lsn.Next()) {
      const Lsn prev(lsn.value() - 1);
      reply.records.push_back(
          {.header = {.lsn = lsn, .prev_volume_lsn = prev, .prev_pg_lsn = prev, .is_cpl = true}});
    }
    recovery_.LogRead(duty.member, reply, now_);
  }
  void CarryOut(const Recovery::SendBatch& duty) {
    Member& m = members_[duty.member.slot];
    if (!m.is_up) return;
    EXPECT_EQ(duty.batch.header.epoch, m.epoch);
    EXPECT_LE(duty.batch.first_lsn, m.scl.Next());
    m.scl = std::max(m.scl, duty.batch.last_lsn);
    sent_headers_.push_back(duty.batch.header);
    recovery_.BatchAcked(duty.member,
                         {.segment = {kVolume, PgId(0)},
                          .incarnation = Status(duty.member.slot).incarnation,
                          .epoch = m.epoch,
                          .scl = m.scl},
                         now_);
  }

  Recovery recovery_;
  std::vector<Member> members_;
  std::vector<Recovery::Duty> duties_;
  std::vector<log::BatchHeader> sent_headers_;
  Instant now_;
};

TEST_F(RecoveryStory, AnEmptyVolumeOpens) {
  for (Member& m : members_) m = {.epoch = VolumeEpoch(), .writer = WriterId()};
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
  for (Member& m : members_) m.known_vdl = Lsn(18);
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
  for (Member& m : members_) m.truncations = {{VolumeEpoch(4), Lsn(20), Lsn(1020)}};
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
  for (Member& m : members_) m.known_vdl = Lsn(15);
  members_[5].scl = Lsn(10);
  Start();
  RunTo(Phase::kTruncate);
  ASSERT_EQ(recovery_.phase(), Phase::kTruncate);
  EXPECT_GE(std::ranges::count_if(members_, [](const Member& m) { return m.scl >= Lsn(25); }), 4);
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
    for (Member& m : members_) m.epoch = m.epoch.Next().Next();
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
  for (Member& m : members_) {
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

TEST_F(RecoveryStory, DamageIsNeverTakenForAbsence) {
  // Four acknowledged LSN 25. Two of them are away and two are damaged: 3 intact members are
  // missing.
  for (int slot : {0, 1, 2, 3}) members_[slot].scl = Lsn(25);
  for (int slot : {0, 1}) members_[slot].is_up = false;
  for (int slot : {2, 3}) members_[slot] = {.scl = Lsn(20), .is_damaged = true};
  Start();
  RunTo(Phase::kOpen);
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  EXPECT_NE(recovery_.phase(), Phase::kOpen);
  EXPECT_NE(recovery_.phase(), Phase::kFailed);
  EXPECT_THAT(recovery_.Describe(), HasSubstr("undamaged"));
  members_[0].is_up = true;
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(recovery_.result().vdl, Lsn(25));
}

TEST_F(RecoveryStory, DamageEverywhereIsReported) {
  for (int slot : {0, 1, 2, 3}) members_[slot].is_damaged = true;
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kFailed);
  EXPECT_EQ(recovery_.error().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(recovery_.error().message()), HasSubstr("pg 0"));
}

// Simulator, seed 1556 of c84e1b6: a recovery that waited long counted members as damaged that had
// healed since, and reported a loss that there was not.
TEST_F(RecoveryStory, DamageThatHealedWhileItWaitedIsNoLoss) {
  for (int slot : {0, 1, 2, 3}) members_[slot].is_damaged = true;
  members_[5].is_up = false;
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kReadTail);
  members_[0].is_damaged = false;
  members_[5].is_up = true;
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.error();
  EXPECT_EQ(recovery_.result().vdl, Lsn(20));
}

TEST_F(RecoveryStory, DamageThatHealedBeforeTheTailIsWrittenBackIsNoLoss) {
  for (Member& m : members_) m.known_vdl = Lsn(15);
  for (int slot : {3, 4, 5}) members_[slot].scl = Lsn(15);
  Start();
  RunTo(Phase::kWriteBack);
  ASSERT_EQ(recovery_.phase(), Phase::kWriteBack) << recovery_.Describe();
  for (int slot : {0, 1, 2}) members_[slot].read_error = absl::DataLossError("checksum");
  RunTo(Phase::kFence);
  ASSERT_EQ(recovery_.phase(), Phase::kFence) << recovery_.error();
  for (Member& m : members_) m.read_error = absl::OkStatus();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.error();
  EXPECT_EQ(recovery_.result().vdl, Lsn(20));
}

TEST_F(RecoveryStory, ADamagedTailIsReportedWhenAllSaySoAgain) {
  for (Member& m : members_) m.known_vdl = Lsn(15);
  for (int slot : {3, 4, 5}) members_[slot].scl = Lsn(15);
  Start();
  for (int i = 0; i < 2; ++i) {
    RunTo(Phase::kWriteBack);
    ASSERT_EQ(recovery_.phase(), Phase::kWriteBack) << recovery_.Describe();
    for (Member& m : members_) m.read_error = absl::DataLossError("checksum");
    RunTo(i == 0 ? Phase::kFence : Phase::kFailed);
    for (Member& m : members_) m.read_error = absl::OkStatus();
  }
  ASSERT_EQ(recovery_.phase(), Phase::kFailed);
  EXPECT_EQ(recovery_.error().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RecoveryStory, ARecordDamagedOnOneMemberIsReadFromAnother) {
  for (Member& m : members_) m.known_vdl = Lsn(15);
  members_[0].read_error = absl::DataLossError("checksum");
  members_[0].scl = Lsn(21);
  members_[1].scl = Lsn(21);
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(recovery_.result().vdl, Lsn(21));
}

TEST_F(RecoveryStory, AMemberThatDiesInTheMiddleIsDoneWithout) {
  for (Member& m : members_) m.known_vdl = Lsn(15);
  members_[0].scl = Lsn(30);
  Start();
  RunTo(Phase::kReadTail);
  members_[0].is_up = false;
  members_[0].read_error = absl::UnavailableError("gone");
  for (int i = 0; i < 10 && recovery_.phase() != Phase::kOpen; ++i) {
    recovery_.LogRead({PgId(0), 0}, absl::UnavailableError("gone"), now_);
    Tick(absl::Seconds(1));
    RunTo(Phase::kOpen);
  }
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(recovery_.result().vdl, Lsn(20)) << "21 to 30 were on one member, so never durable";
}

TEST_F(RecoveryStory, TheOnlySourceOfTheTailMayDieWhileItIsWrittenBack) {
  for (Member& m : members_) m.known_vdl = Lsn(15);
  members_[0].scl = Lsn(30);
  Start();
  RunTo(Phase::kWriteBack);
  ASSERT_EQ(recovery_.phase(), Phase::kWriteBack) << recovery_.Describe();
  members_[0].is_up = false;
  for (int i = 0; i < 20 && recovery_.phase() != Phase::kOpen; ++i) {
    recovery_.LogRead({PgId(0), 0}, absl::NotFoundError("no such segment"), now_);
    Tick(absl::Seconds(1));
    RunTo(Phase::kOpen);
  }
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(recovery_.result().vdl, Lsn(20)) << "21 to 30 were on one member, so never durable";
}

TEST_F(RecoveryStory, ASourceThatIsSilentForAWhileIsWaitedForWhereTheQuorumNeedsIt) {
  for (Member& m : members_) m.known_vdl = Lsn(15);
  for (int slot : {0, 1}) members_[slot].scl = Lsn(30);
  for (int slot : {4, 5}) members_[slot].is_up = false;
  Start();
  RunTo(Phase::kWriteBack);
  ASSERT_EQ(recovery_.phase(), Phase::kWriteBack) << recovery_.Describe();
  for (int slot : {0, 1}) members_[slot].is_up = false;
  for (int i = 0; i < 20; ++i) {
    for (int slot : {0, 1}) {
      recovery_.LogRead({PgId(0), static_cast<quorum::Slot>(slot)}, absl::UnavailableError("away"),
                        now_);
    }
    Tick(absl::Seconds(1));
    RunTo(Phase::kOpen);
  }
  EXPECT_EQ(recovery_.phase(), Phase::kFence) << recovery_.Describe();
  for (int slot : {0, 1}) members_[slot].is_up = true;
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(recovery_.result().vdl, Lsn(30));
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

TEST_F(RecoveryStory, AMemberThatOnlyPagesCanBringUpIsAwaited) {
  for (int slot : {0, 1, 2}) members_[slot].log_start = members_[slot].known_vdl = Lsn(10);
  members_[3].scl = Lsn(5);
  for (int slot : {4, 5}) members_[slot].is_up = false;
  Start();
  RunTo(Phase::kOpen);
  EXPECT_EQ(recovery_.phase(), Phase::kWriteBack) << "nobody can send it what it lacks";
  // Simulator: it must hear of the VDL, or it would never know that it lacks anything.
  ASSERT_EQ(sent_headers_.size(), 1u);
  EXPECT_EQ(sent_headers_[0].record_count, 0u);
  EXPECT_EQ(sent_headers_[0].vdl, Lsn(10));
  members_[3].scl = Lsn(12);  // its peers have brought it their pages
  members_[3].known_vdl = members_[3].log_start = Lsn(12);
  Tick(absl::Seconds(1));
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(members_[3].scl, Lsn(20));
}

}  // namespace
}  // namespace sextant::compute
