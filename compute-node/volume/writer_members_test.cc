// Stories of the writer's members: coming up, lagging, refusing, losing their disk.
#include "compute-node/volume/writer_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using namespace sextant::compute::testing;  // NOLINT: test tools
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr MemberAddress kMember{PgId(0), 2};

TEST(WriterMembers, NothingButTheClaimGoesToAMemberThatHasNotAnsweredForIt) {
  WriterRig rig;
  protocol::SegmentStatus status = Ready(kMember, 70);
  status.epoch = VolumeEpoch(4);
  status.truncations.clear();
  rig.writer.MemberUp(kMember, status);
  rig.Append({1});
  ASSERT_THAT(rig.raises, SizeIs(1));
  EXPECT_EQ(rig.raises[0].request.epoch, kTestEpoch);
  EXPECT_EQ(rig.raises[0].request.writer, kTestWriter);
  EXPECT_EQ(rig.raises[0].request.truncations, OpenVolume().truncations);
  EXPECT_THAT(rig.sends, IsEmpty());
  EXPECT_EQ(rig.State(kMember), MemberState::kRaisingEpoch);
  rig.Ack(kMember, 101);
  EXPECT_EQ(rig.writer.Member(kMember).scl, Lsn()) << "it cannot vouch for anything yet";

  rig.writer.EpochRaised(kMember, Ready(kMember, 40));
  rig.Take();
  EXPECT_EQ(rig.State(kMember), MemberState::kStreaming);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(101));
}

TEST(WriterMembers, TheEpochAloneIsNotEnough) {
  WriterRig rig;
  protocol::SegmentStatus status = Ready(kMember, 40);
  status.truncations.clear();
  rig.writer.MemberUp(kMember, status);
  rig.Take();
  EXPECT_THAT(rig.raises, SizeIs(1));
  status = Ready(kMember, 40);
  status.writer = WriterId(51);  // a rival that claimed the same epoch, and lost
  rig.writer.MemberUp(kMember, status);
  rig.Take();
  EXPECT_THAT(rig.raises, SizeIs(2));
}

TEST(WriterMembers, AClaimThatFailsIsMadeAgainLater) {
  WriterRig rig({.retry_interval = absl::Seconds(1)});
  protocol::SegmentStatus status = Ready(kMember, 40);
  status.epoch = VolumeEpoch(4);
  rig.writer.MemberUp(kMember, status);
  rig.writer.EpochRaised(kMember, absl::UnavailableError("no answer"));
  rig.Take();
  rig.Tick(999);
  EXPECT_THAT(rig.raises, SizeIs(1));
  rig.Tick(1000);
  EXPECT_THAT(rig.raises, SizeIs(2));
  rig.writer.EpochRaised(kMember, absl::FailedPreconditionError("claimed by a rival"));
  rig.Tick(2001);
  EXPECT_THAT(rig.raises, SizeIs(3));
  EXPECT_FALSE(rig.writer.is_fenced());
  rig.writer.MemberDown(kMember);
  rig.Tick(9000);
  EXPECT_THAT(rig.raises, SizeIs(3));
}

TEST(WriterMembers, ANewerEpochInAStatusFences) {
  WriterRig rig;
  protocol::SegmentStatus status = Ready(kMember, 40);
  status.epoch = VolumeEpoch(6);
  rig.writer.MemberUp(kMember, status);
  EXPECT_TRUE(rig.writer.is_fenced());
}

TEST(WriterMembers, AMemberThatForgotTheEpochIsToldAgain) {
  WriterRig rig;
  rig.AllUp();
  rig.Append({1});
  rig.SentTo(kMember);
  rig.Ack(kMember, 40, absl::FailedPreconditionError("behind"), VolumeEpoch(4));
  rig.Ack(kMember, 40, absl::FailedPreconditionError("behind"), VolumeEpoch(4));
  EXPECT_THAT(rig.raises, SizeIs(1));
  rig.writer.EpochRaised(kMember, Ready(kMember, 40));
  rig.Take();
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(101));
}

TEST(WriterMembers, AfterAReconnectionTheRestIsSentInOrder) {
  WriterRig rig({.max_batches_in_flight = 10, .min_overlap_bytes = 0});
  rig.AllUp();
  for (uint64_t i = 0; i < 4; ++i) rig.Append({i});
  rig.SentTo(kMember);
  rig.Ack(kMember, 101);
  rig.writer.MemberDown(kMember);
  EXPECT_EQ(rig.State(kMember), MemberState::kDown);
  rig.Ack(kMember, 102);  // of the lost stream: ignored
  EXPECT_EQ(rig.writer.Member(kMember).scl, Lsn(101));
  rig.writer.MemberUp(kMember, Ready(kMember, 102));
  rig.Take();
  EXPECT_EQ(rig.writer.Member(kMember).scl, Lsn(102));
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(103, 104));
}

TEST(WriterMembers, AStatusAloneCanCompleteAQuorum) {
  WriterRig rig;
  rig.AllUp();
  const Lsn lsn = rig.Append({1});
  rig.AckBy(0, {0, 1, 3}, 101);
  rig.writer.MemberDown(kMember);  // its acknowledgement was lost on the way
  rig.writer.MemberUp(kMember, Ready(kMember, 101));
  EXPECT_EQ(rig.writer.vdl(), lsn);
}

TEST(WriterMembers, AFullDiskIsTriedAgainWithOneBatch) {
  WriterRig rig(
      {.max_batches_in_flight = 10, .min_overlap_bytes = 0, .retry_interval = absl::Seconds(1)});
  rig.AllUp();
  rig.Tick(0);
  for (uint64_t i = 0; i < 3; ++i) rig.Append({i});
  rig.SentTo(kMember);
  for (int i = 0; i < 3; ++i) rig.Ack(kMember, 40, absl::ResourceExhaustedError("full"));
  EXPECT_EQ(rig.State(kMember), MemberState::kNoSpace);
  rig.Append({4});
  rig.Tick(999);
  EXPECT_THAT(rig.SentTo(kMember), IsEmpty());
  rig.Tick(1000);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(101));
  rig.Ack(kMember, 101);
  EXPECT_EQ(rig.State(kMember), MemberState::kStreaming);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(102, 103, 104));
}

TEST(WriterMembers, ABatchDamagedOnTheWayIsSentAgain) {
  WriterRig rig(
      {.max_batches_in_flight = 10, .min_overlap_bytes = 0, .retry_interval = absl::Seconds(1)});
  rig.AllUp();
  rig.Tick(0);
  rig.Append({1});
  rig.Append({2});
  rig.SentTo(kMember);
  rig.Ack(kMember, 40, absl::DataLossError("checksum"));
  rig.Tick(100);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(101));
  rig.Ack(kMember, 102) /* the second was held ahead of the gap */;
  EXPECT_THAT(rig.SentTo(kMember), IsEmpty());
}

TEST(WriterMembers, ABatchThatVanishedIsSentAgainThoughTheStreamHolds) {
  WriterRig rig({.retry_interval = absl::Seconds(1)});
  rig.AllUp();
  rig.Append({1});
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(101));
  std::vector<uint64_t> again;
  for (int64_t second = 1; second <= 5 && again.empty(); ++second) {
    rig.Tick(1000 * second);
    again = rig.SentTo(kMember);
    std::erase(again, 0u);  // heartbeats
  }
  EXPECT_THAT(again, ElementsAre(101)) << "nobody could tell whose it was, so nobody answered";
  rig.Ack(kMember, 101);
  for (int64_t second = 6; second <= 15; ++second) rig.Tick(1000 * second);
  again = rig.SentTo(kMember);
  std::erase(again, 0u);
  EXPECT_THAT(again, IsEmpty());
}

TEST(WriterMembers, AnotherIncarnationIsNeverCounted) {
  WriterRig rig;
  rig.AllUp();
  rig.Append({1});
  rig.AckBy(0, {0, 1, 2}, 101);
  rig.writer.MemberDown(kMember);
  protocol::SegmentStatus wiped = Ready(kMember, 0);
  wiped.incarnation = IncarnationId(99);
  rig.writer.MemberUp(kMember, wiped);
  EXPECT_EQ(rig.State(kMember), MemberState::kDamaged);
  rig.SentTo(kMember);
  rig.Ack(kMember, 101);
  rig.Ack(At(0, 3), 101);
  EXPECT_EQ(rig.writer.vdl(), Lsn(40)) << "three copies are left of the acknowledged four";
  rig.Ack(At(0, 4), 101);
  EXPECT_EQ(rig.writer.vdl(), Lsn(101));
  rig.Append({2});
  EXPECT_THAT(rig.SentTo(kMember), IsEmpty());
}

TEST(WriterMembers, WhatAFormerSegmentSaidIsNotCounted) {
  WriterRig rig;
  rig.AllUp();
  rig.Append({1});
  rig.AckBy(0, {0, 1, 2}, 101);
  // Late, of one that was at member 3's place before it was dropped and made anew there.
  const protocol::AppendAck ack{.segment = {kTestVolume, PgId(0)},
                                .incarnation = IncarnationId(99),
                                .epoch = kTestEpoch,
                                .scl = Lsn(101)};
  rig.writer.Acked(At(0, 3), ack);
  EXPECT_EQ(rig.writer.vdl(), Lsn(40));
  protocol::AppendAck refusal = ack;
  refusal.status = absl::ResourceExhaustedError("full");
  rig.writer.Acked(At(0, 3), refusal);
  EXPECT_EQ(rig.State(At(0, 3)), MemberState::kStreaming);
  rig.Ack(At(0, 3), 101);
  EXPECT_EQ(rig.writer.vdl(), Lsn(101));
}

TEST(WriterMembers, ASegmentThatIsGoneIsNotCounted) {
  WriterRig rig;
  rig.AllUp();
  rig.Append({1});
  rig.Ack(kMember, 101);
  rig.Ack(kMember, 0, absl::NotFoundError("no such segment"));
  EXPECT_EQ(rig.State(kMember), MemberState::kDamaged);
  rig.AckBy(0, {0, 1, 3}, 101);
  EXPECT_EQ(rig.writer.vdl(), Lsn(40));
}

TEST(WriterMembers, OneThatHoldsLessThanItAcknowledgedCountsAgainWhenItHasCaughtUp) {
  WriterRig rig({.max_batches_in_flight = 10, .min_overlap_bytes = 0});
  rig.AllUp();
  rig.Append({1});
  rig.Append({2});
  rig.Ack(kMember, 102);
  rig.writer.MemberDown(kMember);
  rig.writer.MemberUp(kMember, Ready(kMember, 101));
  EXPECT_EQ(rig.State(kMember), MemberState::kDamaged);
  rig.AckBy(0, {0, 1, 3}, 102);
  EXPECT_EQ(rig.writer.vdl(), Lsn(40));
  rig.Ack(kMember, 102);
  EXPECT_EQ(rig.State(kMember), MemberState::kStreaming);
  EXPECT_EQ(rig.writer.vdl(), Lsn(102));
}

TEST(WriterMembers, AnSclThatWasNeverSentIsNotBelieved) {
  WriterRig rig;
  rig.AllUp();
  rig.Append({1});
  rig.Ack(kMember, 500);
  EXPECT_EQ(rig.State(kMember), MemberState::kDamaged);
}

TEST(WriterMembers, OneThatLacksWhatIsNotKeptIsBehind) {
  WriterRig rig;
  rig.writer.MemberUp(kMember, Ready(kMember, 35));
  EXPECT_EQ(rig.State(kMember), MemberState::kBehind);
  rig.Append({1});
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(101));
  rig.Ack(kMember, 35);
  EXPECT_EQ(rig.State(kMember), MemberState::kBehind);
  rig.Ack(kMember, 101);
  EXPECT_EQ(rig.State(kMember), MemberState::kStreaming);
}

TEST(WriterMembers, OneThatIsBehindIsAskedHowFarItsPeersHaveBroughtIt) {
  WriterRig rig({.retry_interval = absl::Seconds(1)});
  rig.AllUp();
  rig.writer.MemberDown(kMember);
  rig.writer.MemberUp(kMember, Ready(kMember, 35));
  const Lsn lsn = rig.Append({1});
  rig.SentTo(kMember);
  rig.AckBy(0, {0, 1, 3}, 101);
  rig.Ack(kMember, 35);
  rig.Tick(1000);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(0));
  rig.Ack(kMember, 35);
  rig.Tick(1999);
  EXPECT_THAT(rig.SentTo(kMember), IsEmpty());
  rig.Tick(2000);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(0));
  rig.Ack(kMember, 101);
  EXPECT_EQ(rig.writer.vdl(), lsn) << "a commit can depend on it";
  rig.Tick(3000);
  rig.SentTo(kMember);
  rig.Tick(9000);
  EXPECT_THAT(rig.SentTo(kMember), IsEmpty());
}

TEST(WriterMembers, OneThatComesUpHearsOfVdlThoughNothingIsWritten) {
  WriterRig rig;
  rig.AllUp();
  rig.Tick(1000);
  rig.sends.clear();
  rig.writer.MemberDown(kMember);
  rig.writer.MemberUp(kMember, Ready(kMember, 40));
  rig.Tick(2000);
  EXPECT_THAT(rig.SentTo(kMember), ElementsAre(0));
}

}  // namespace
}  // namespace sextant::compute
