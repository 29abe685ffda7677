// Stories of recovery from members that are damaged, die, or lack what only others hold.
#include "compute-node/volume/recovery.h"

#include "compute-node/volume/recovery_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::HasSubstr;
using testing::RecoveryStory;
using testing::ScriptedMember;

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
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
  for (int slot : {3, 4, 5}) members_[slot].scl = Lsn(15);
  Start();
  RunTo(Phase::kWriteBack);
  ASSERT_EQ(recovery_.phase(), Phase::kWriteBack) << recovery_.Describe();
  for (int slot : {0, 1, 2}) members_[slot].read_error = absl::DataLossError("checksum");
  RunTo(Phase::kFence);
  ASSERT_EQ(recovery_.phase(), Phase::kFence) << recovery_.error();
  for (ScriptedMember& m : members_) m.read_error = absl::OkStatus();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.error();
  EXPECT_EQ(recovery_.result().vdl, Lsn(20));
}

TEST_F(RecoveryStory, ADamagedTailIsReportedWhenAllSaySoAgain) {
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
  for (int slot : {3, 4, 5}) members_[slot].scl = Lsn(15);
  Start();
  for (int i = 0; i < 2; ++i) {
    RunTo(Phase::kWriteBack);
    ASSERT_EQ(recovery_.phase(), Phase::kWriteBack) << recovery_.Describe();
    for (ScriptedMember& m : members_) m.read_error = absl::DataLossError("checksum");
    RunTo(i == 0 ? Phase::kFence : Phase::kFailed);
    for (ScriptedMember& m : members_) m.read_error = absl::OkStatus();
  }
  ASSERT_EQ(recovery_.phase(), Phase::kFailed);
  EXPECT_EQ(recovery_.error().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RecoveryStory, ARecordDamagedOnOneMemberIsReadFromAnother) {
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
  members_[0].read_error = absl::DataLossError("checksum");
  members_[0].scl = Lsn(21);
  members_[1].scl = Lsn(21);
  Start();
  RunTo(Phase::kOpen);
  ASSERT_EQ(recovery_.phase(), Phase::kOpen) << recovery_.Describe();
  EXPECT_EQ(recovery_.result().vdl, Lsn(21));
}

TEST_F(RecoveryStory, AMemberThatDiesInTheMiddleIsDoneWithout) {
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
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
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
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
  for (ScriptedMember& m : members_) m.known_vdl = Lsn(15);
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
