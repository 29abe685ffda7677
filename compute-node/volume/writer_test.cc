// Stories of the writer: commits, watermarks, back-pressure, read points, heartbeats.
#include "compute-node/volume/writer.h"

#include "compute-node/volume/writer_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using namespace sextant::compute::testing;  // NOLINT: test tools
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Writer, StartsWhereRecoveryEnded) {
  WriterRig rig;
  EXPECT_EQ(rig.writer.head(), Lsn(40)) << "nothing is appended yet, whatever the next LSN";
  EXPECT_EQ(rig.writer.vdl(), Lsn(40));
  EXPECT_THAT(*rig.writer.HeadTails(), ElementsAre(Lsn(40), Lsn(30)));
  const WriterProgress progress = rig.writer.Progress();
  EXPECT_EQ(progress.vcl, Lsn(40));
  EXPECT_EQ(progress.pgs[1].pgcl, Lsn(30));
  EXPECT_EQ(progress.pgs[1].members[5].state, MemberState::kDown);
}

TEST(Writer, ACommitIsDurableWithTheFourthAcknowledgement) {
  WriterRig rig;
  rig.AllUp();
  const Lsn lsn = rig.Append({1, 2});
  EXPECT_EQ(lsn, Lsn(102));
  for (int slot = 0; slot < 6; ++slot) EXPECT_THAT(rig.SentTo(At(0, slot)), ElementsAre(102));
  EXPECT_THAT(rig.sends, IsEmpty()) << "the other group has no part in it";
  rig.writer.WaitDurable(lsn, WaitToken(9), Instant::Max());
  rig.AckBy(0, {0, 1, 2}, 102);
  EXPECT_THAT(rig.releases, IsEmpty());
  rig.Ack(At(0, 5), 102);
  ASSERT_THAT(rig.releases, SizeIs(1));
  EXPECT_EQ(rig.releases[0].wait, WaitToken(9));
  EXPECT_TRUE(rig.releases[0].status.ok());
  EXPECT_EQ(rig.writer.vdl(), lsn);
  EXPECT_THAT(*rig.writer.DurableTails(), ElementsAre(Lsn(102), Lsn(30)));
  rig.writer.WaitDurable(lsn, WaitToken(10), Instant::Max());
  rig.Take();
  EXPECT_THAT(rig.releases, SizeIs(2)) << "durable already: at once";
}

TEST(Writer, AnMtrOverTwoGroupsNeedsBothQuorums) {
  WriterRig rig;
  rig.AllUp();
  const Lsn lsn = rig.Append({1, 11});
  rig.AckBy(1, {0, 1, 2, 3}, 102);
  EXPECT_EQ(rig.writer.vdl(), Lsn(40));
  rig.AckBy(0, {2, 3, 4, 5}, 101);
  EXPECT_EQ(rig.writer.vdl(), lsn);
  EXPECT_THAT(*rig.writer.DurableTails(), ElementsAre(Lsn(101), Lsn(102)));
}

TEST(Writer, BatchesCarryTheWatermarksOfWhenTheyWereSealed) {
  WriterRig rig;
  rig.AllUp();
  rig.writer.OpenReadPoint(Lsn(40));
  rig.Append({1});
  rig.AckBy(0, {0, 1, 2, 3}, 101);
  rig.sends.clear();
  rig.Append({2});
  ASSERT_FALSE(rig.sends.empty());
  const log::BatchHeader& header = rig.sends[0].batch.header;
  EXPECT_EQ(header.epoch, kTestEpoch);
  EXPECT_EQ(header.vdl, Lsn(101));
  EXPECT_EQ(header.pg_lsn_at_vdl, Lsn(101));
  EXPECT_EQ(header.pgmrpl, Lsn(40));
}

TEST(Writer, SmallBatchesFillWhileOneIsInFlight) {
  WriterRig rig;
  rig.AllUp();
  for (uint64_t i = 0; i < 5; ++i) rig.Append({i});
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre(101));
  rig.AckBy(0, {0, 1, 2}, 101);
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre());
  rig.Ack(At(0, 3), 101);
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre(105)) << "four commits in one batch";
  EXPECT_EQ(rig.writer.counters().batches, 2u);
}

TEST(Writer, WhatIsAppendedInOneStepSharesABatch) {
  WriterRig rig;
  rig.AllUp();
  for (uint64_t i = 0; i < 3; ++i) {
    rig.writer.Append({{.page = PageNo(i), .payload = std::string(10, 'x')}});
  }
  rig.Take();
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre(103));
  EXPECT_EQ(rig.writer.counters().batches, 1u);
}

TEST(Writer, BatchesFillWhileTwoAreInFlight) {
  WriterRig rig({.min_overlap_bytes = 0});
  rig.AllUp();
  for (uint64_t i = 0; i < 5; ++i) rig.Append({i});
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre(101, 102));
  rig.AckBy(0, {0, 1, 2, 3}, 101);
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre(105)) << "three commits in one batch";
  EXPECT_EQ(rig.writer.counters().batches, 3u);
  EXPECT_EQ(rig.writer.counters().mtrs, 5u);
  EXPECT_EQ(rig.writer.counters().sends, 18u);
}

TEST(Writer, RefusesWhatItCannotTake) {
  RecoveredVolume volume = OpenVolume();
  volume.lal = 10;
  WriterRig rig(
      {.max_unacked_bytes = 1000, .max_mtr_bytes = 5000, .growth = {.max_volume_bytes = 512 * 20}},
      volume);
  rig.AllUp();
  const auto check = [&rig](uint64_t bytes, uint64_t page) {
    return rig.writer.CheckAppend(bytes, {PageNo(page)}).code();
  };
  EXPECT_EQ(check(10, 19), absl::StatusCode::kOk);
  EXPECT_EQ(check(10, 20), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(check(5001, 1), absl::StatusCode::kInvalidArgument);
  rig.Append({1}, 3000);  // larger than the limit, and taken while there is nothing else
  EXPECT_EQ(check(10, 1), absl::StatusCode::kResourceExhausted);
  rig.AckBy(0, {0, 1, 2, 3}, 101);
  EXPECT_EQ(check(10, 1), absl::StatusCode::kOk);
  for (int i = 0; i < 10; ++i) rig.Append({11}, 1);
  EXPECT_EQ(check(10, 1), absl::StatusCode::kResourceExhausted) << "LAL: 111 is 10 above VDL";
}

TEST(Writer, AWaitEndsAtItsDeadlineAndTheCommitGoesOn) {
  WriterRig rig;
  rig.AllUp();
  rig.Tick(0);
  const Lsn lsn = rig.Append({1});
  rig.writer.WaitDurable(lsn, WaitToken(1), Instant::FromNanos(5'000'000));
  rig.AckBy(0, {0, 1, 2}, 101);
  rig.Tick(5);
  ASSERT_THAT(rig.releases, SizeIs(1));
  EXPECT_EQ(rig.releases[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  rig.Ack(At(0, 3), 101);
  EXPECT_EQ(rig.writer.vdl(), lsn);
  EXPECT_THAT(rig.releases, SizeIs(1));
}

TEST(Writer, WaitsAreBounded) {
  WriterRig rig({.max_waits = 1});
  rig.AllUp();
  const Lsn lsn = rig.Append({1});
  rig.writer.WaitDurable(lsn, WaitToken(1), Instant::Max());
  rig.writer.WaitDurable(lsn, WaitToken(2), Instant::Max());
  rig.Take();
  ASSERT_THAT(rig.releases, SizeIs(1));
  EXPECT_EQ(rig.releases[0].wait, WaitToken(2));
  EXPECT_EQ(rig.releases[0].status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(Writer, AnIdleGroupHearsOfVdlOnceAndThenNothing) {
  WriterRig rig({.heartbeat_interval = absl::Milliseconds(100)});
  rig.AllUp();
  rig.Tick(1000);  // what it opened with
  EXPECT_THAT(rig.SentTo(At(1, 0)), ElementsAre(0));
  rig.sends.clear();
  rig.Append({1});
  rig.Tick(2000);
  EXPECT_THAT(rig.SentTo(At(1, 0)), IsEmpty()) << "VDL has not moved";
  rig.AckBy(0, {0, 1, 2, 3}, 101);
  rig.SentTo(At(0, 0));
  rig.Tick(2001);
  EXPECT_THAT(rig.SentTo(At(1, 0)), ElementsAre(0));
  EXPECT_THAT(rig.SentTo(At(0, 0)), ElementsAre(0)) << "its batch left before VDL moved";
  for (int64_t ms = 2002; ms < 9000; ms += 50) rig.Tick(ms);
  EXPECT_THAT(rig.SentTo(At(1, 0)), IsEmpty());
}

TEST(Writer, AGroupThatIsWrittenToGetsNoHeartbeats) {
  WriterRig rig({.heartbeat_interval = absl::Milliseconds(100)});
  rig.AllUp();
  rig.Tick(1000);
  const uint64_t before = rig.writer.counters().heartbeats;
  for (int64_t ms = 1050; ms < 3000; ms += 50) {
    const Lsn lsn = rig.Append({1});
    rig.AckBy(0, {0, 1, 2, 3, 4, 5}, lsn.value());
    rig.Tick(ms);
    rig.SentTo(At(1, 0));
  }
  const uint64_t to_group_1 = (2950 - 1000) / 100;
  EXPECT_EQ(rig.writer.counters().heartbeats - before, to_group_1) << "group 0 had batches";
}

TEST(Writer, ReadPointsHoldPgmrplBack) {
  WriterRig rig;
  rig.AllUp();
  rig.writer.OpenReadPoint(Lsn(40));
  rig.Append({1});
  rig.AckBy(0, {0, 1, 2, 3}, 101);
  EXPECT_EQ(rig.writer.Progress().pgmrpl, Lsn(40));
  rig.writer.CloseReadPoint(Lsn(40));
  EXPECT_EQ(rig.writer.Progress().pgmrpl, Lsn(101));
}

TEST(Writer, IsFencedByANewerEpochForGood) {
  WriterRig rig;
  rig.AllUp();
  const Lsn lsn = rig.Append({1});
  rig.writer.WaitDurable(lsn, WaitToken(1), Instant::Max());
  rig.AckBy(0, {0, 1, 2}, 101);
  rig.sends.clear();
  rig.Ack(At(0, 3), 40, absl::FailedPreconditionError("fenced"), VolumeEpoch(6));
  EXPECT_TRUE(rig.writer.is_fenced());
  ASSERT_THAT(rig.releases, SizeIs(1));
  EXPECT_EQ(rig.releases[0].status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rig.writer.CheckAppend(1, {PageNo(1)}).code(), absl::StatusCode::kFailedPrecondition);
  rig.Ack(At(0, 4), 101);
  rig.Tick(60'000);
  EXPECT_EQ(rig.writer.vdl(), Lsn(40));
  EXPECT_THAT(rig.sends, IsEmpty());
  rig.writer.WaitDurable(lsn, WaitToken(2), Instant::Max());
  rig.writer.WaitDurable(Lsn(40), WaitToken(3), Instant::Max());
  rig.Take();
  EXPECT_EQ(rig.releases[1].status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(rig.releases[2].status.ok()) << "what was durable stays so";
}

TEST(WriterProgressTest, LagLeavesOutTheGapThatRecoveryLeft) {
  const WriterProgress progress{.opened_at = Lsn(100), .first_lsn = Lsn(1101)};
  EXPECT_EQ(progress.Lag(Lsn(100), Lsn(1103)), 3u);
  EXPECT_EQ(progress.Lag(Lsn(90), Lsn(1101)), 11u);
  EXPECT_EQ(progress.Lag(Lsn(90), Lsn(100)), 10u);
  EXPECT_EQ(progress.Lag(Lsn(1101), Lsn(1103)), 2u);
  EXPECT_EQ(progress.Lag(Lsn(1103), Lsn(1103)), 0u);
}

}  // namespace
}  // namespace sextant::compute
