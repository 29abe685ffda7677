// Stories of Gossip: who is asked for what, and when; what its answers may do to a segment.
#include "storage-node/segment/gossip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/testing/status_matchers.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using ::sextant::testing::StatusIs;
using ::testing::SizeIs;
using namespace sextant::storage::testing;

const std::vector<quorum::Slot> kPeers = {1, 2, 4};

protocol::SegmentStatus Lacking(uint64_t scl, uint64_t pg_lsn_at_vdl) {
  return {.segment = kSegment,
          .epoch = VolumeEpoch(1),
          .scl = Lsn(scl),
          .known_vdl = Lsn(pg_lsn_at_vdl),
          .pg_lsn_at_vdl = Lsn(pg_lsn_at_vdl)};
}

class GossipTest : public ::testing::Test {
 protected:
  std::optional<Gossip::Ask> Next(const protocol::SegmentStatus& status) {
    return gossip_.Next(status, kPeers, now_);
  }
  // Passes the grace period of a gap that stands still.
  Gossip::Ask FirstAsk(const protocol::SegmentStatus& status) {
    EXPECT_EQ(Next(status), std::nullopt);
    now_ = now_ + options_.grace;
    const std::optional<Gossip::Ask> ask = Next(status);
    EXPECT_TRUE(ask.has_value());
    return ask.value_or(Gossip::Ask{});
  }

  const GossipOptions options_;
  Instant now_ = Instant::FromNanos(1);
  Gossip gossip_{options_, Prng(5)};
};

TEST_F(GossipTest, ACompleteSegmentAsksNothing) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Next(Lacking(9, 9)), std::nullopt);
    now_ = now_ + absl::Seconds(1);
  }
}

TEST_F(GossipTest, AsksForWhatIsDurableAndNotHeldOnceTheGapHasStood) {
  const Gossip::Ask ask = FirstAsk(Lacking(4, 9));
  EXPECT_THAT(kPeers, ::testing::Contains(ask.peer));
  EXPECT_EQ(ask.request.segment, kSegment);
  EXPECT_EQ(ask.request.epoch, VolumeEpoch(1));
  EXPECT_EQ(ask.request.after, Lsn(4));
  EXPECT_EQ(ask.request.through, Lsn(9));
  EXPECT_EQ(Next(Lacking(4, 9)), std::nullopt) << "one request at a time";
}

TEST_F(GossipTest, WaitsWhileTheWriterFillsTheGap) {
  for (uint64_t scl = 1; scl < 9; ++scl) {
    EXPECT_EQ(Next(Lacking(scl, 9)), std::nullopt);
    now_ = now_ + options_.grace / 2;
  }
}

TEST_F(GossipTest, GoesOnAtOnceWithThePeerThatHelped) {
  const Gossip::Ask first = FirstAsk(Lacking(4, 9));
  gossip_.Finished(Lsn(6), now_);
  const auto second = Next(Lacking(6, 9));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->peer, first.peer);
  EXPECT_EQ(second->request.after, Lsn(6));
  gossip_.Finished(Lsn(9), now_);
  EXPECT_EQ(Next(Lacking(9, 9)), std::nullopt);
}

TEST_F(GossipTest, AsksEveryPeerThenRestsLongerEachTime) {
  const protocol::SegmentStatus status = Lacking(4, 9);
  Gossip::Ask ask = FirstAsk(status);
  absl::Duration longest;
  for (int round = 0; round < 12; ++round) {
    std::set<quorum::Slot> asked = {ask.peer};
    gossip_.Finished(Lsn(4), now_);
    for (size_t i = 1; i < kPeers.size(); ++i) {
      const auto next = Next(status);
      ASSERT_TRUE(next.has_value()) << "no rest within a round";
      asked.insert(next->peer);
      gossip_.Finished(Lsn(4), now_);
    }
    EXPECT_THAT(asked, SizeIs(kPeers.size()));
    const Instant rest_from = now_;
    std::optional<Gossip::Ask> next;
    while (!(next = Next(status))) now_ = now_ + absl::Milliseconds(10);
    const absl::Duration rested = now_ - rest_from;
    EXPECT_GE(rested, options_.first_backoff / 2);
    EXPECT_LE(rested, options_.max_backoff + absl::Milliseconds(10));
    longest = std::max(longest, rested);
    ask = *next;
  }
  EXPECT_GE(longest, options_.max_backoff / 2);
}

TEST_F(GossipTest, ANewEpochEndsARest) {
  protocol::SegmentStatus status = Lacking(4, 9);
  FirstAsk(status);
  gossip_.Finished(Lsn(4), now_);
  for (size_t i = 1; i < 8 * kPeers.size(); ++i) {
    while (!Next(status)) now_ = now_ + absl::Milliseconds(10);
    gossip_.Finished(Lsn(4), now_);
  }
  status.epoch = VolumeEpoch(2);
  EXPECT_EQ(FirstAsk(status).request.epoch, VolumeEpoch(2));
}

TEST_F(GossipTest, RecordsAboveAGapAreReasonToAskOnlyAfterRecovery) {
  protocol::SegmentStatus status = Lacking(4, 4);
  status.epoch = VolumeEpoch(2);
  status.records_ahead = 3;
  EXPECT_FALSE(Gossip::IsLacking(status)) << "recovery may be looking at what lies above VDL";
  status.truncations = {Cut(2, 4, 100)};
  const Gossip::Ask ask = FirstAsk(status);
  EXPECT_EQ(ask.request.after, Lsn(4));
  EXPECT_EQ(ask.request.through, Lsn(UINT64_MAX));
}

TEST_F(GossipTest, WithoutPeersItKeepsQuiet) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(gossip_.Next(Lacking(4, 9), {}, now_), std::nullopt);
    now_ = now_ + absl::Seconds(1);
  }
}

// --- answers

protocol::ReadLogReply AnswerOf(Rig& peer, const protocol::ReadLogRequest& request) {
  const absl::StatusOr<LogReadPlan> plan = peer.segment().PlanLogRead(request);
  SEXTANT_CHECK(plan.ok()) << plan.status().ToString();
  protocol::ReadLogReply reply{.scl = plan->scl, .is_last = plan->is_last};
  for (const RecordLocation& at : plan->records) reply.records.push_back(peer.ReadRecord(at));
  return reply;
}

// The asker's whole way: request, answer, append, sync.
void Pull(Rig* asker, Rig& peer, Lsn through, uint64_t token = 1) {
  const protocol::SegmentStatus status = asker->segment().Status();
  const protocol::ReadLogRequest request{
      .segment = kSegment, .epoch = status.epoch, .after = status.scl, .through = through};
  const auto batches = GossipBatches(status, request, AnswerOf(peer, request));
  ASSERT_OK(batches);
  for (const log::EncodedBatch& batch : *batches) asker->Send(batch, token);
  asker->Settle();
}

void Raised(Rig* rig, const protocol::RaiseEpochRequest& request) {
  rig->segment().RaiseEpoch(request, ReplyToken(9));
  rig->Settle();
}

TEST(GossipBatchesTest, FillTheGapBelowWhatIsHeld) {
  Rig whole;
  whole.Send(Batch({Redo(1, 0), Redo(2, 1), Redo(3, 2)}));
  whole.Settle();
  Rig gap;
  gap.Send(Batch({Redo(1, 0)}));
  gap.Send(Batch({Redo(3, 2)}, {.vdl = 2, .pg_lsn_at_vdl = 2}));
  gap.Settle();
  EXPECT_TRUE(gap.segment().HasGap());
  Pull(&gap, whole, Lsn(2));
  EXPECT_EQ(gap.segment().Status().scl, Lsn(3));
  EXPECT_EQ(gap.segment().Status().known_vdl, Lsn(2)) << "peers tell nothing of the volume";
  EXPECT_FALSE(gap.segment().HasGap());
}

TEST(GossipBatchesTest, AreNewsToTheWriterWhoseRecordsWaitAbove) {
  Rig whole;
  whole.Send(Batch({Redo(1, 0), Redo(2, 1)}));
  whole.Settle();
  Rig gap;
  const uint64_t writer = 1, peer = 2;
  gap.Send(Batch({Redo(3, 2)}, {.vdl = 2, .pg_lsn_at_vdl = 2}), writer);
  gap.Settle();
  ASSERT_THAT(gap.acks, SizeIs(1));
  EXPECT_EQ(gap.acks[0].ack.scl, Lsn(0));
  gap.acks.clear();
  Pull(&gap, whole, Lsn(2), peer);
  ASSERT_THAT(gap.acks, SizeIs(2));
  EXPECT_EQ(gap.acks[0].to, ReplyToken(writer));
  EXPECT_EQ(gap.acks[0].ack.scl, Lsn(3));
  gap.acks.clear();
  gap.Send(Batch({Redo(4, 3)}), peer);
  gap.Settle();
  EXPECT_THAT(gap.acks, SizeIs(1)) << "once";
}

TEST(GossipBatchesTest, RefuseWhatWasNotAskedFor) {
  const protocol::SegmentStatus status = Lacking(4, 9);
  const protocol::ReadLogRequest request{.segment = kSegment, .after = Lsn(4), .through = Lsn(9)};
  const auto answer = [](std::vector<log::RedoRecord> records) {
    return protocol::ReadLogReply{.records = std::move(records)};
  };
  EXPECT_OK(GossipBatches(status, request, answer({Redo(5, 4), Redo(9, 5)})));
  for (const auto& bad : {answer({Redo(4, 3)}), answer({Redo(10, 4)}),
                          answer({Redo(6, 4), Redo(5, 4)}), answer({Redo(5, 4), Redo(5, 4)})}) {
    EXPECT_THAT(GossipBatches(status, request, bad), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(GossipBatchesTest, OfAnEpochThatHasPassedAreRefused) {
  Rig asker;
  const protocol::SegmentStatus status = asker.segment().Status();
  const protocol::ReadLogRequest request{
      .segment = kSegment, .epoch = status.epoch, .through = Lsn(1)};
  const auto batches = GossipBatches(status, request, {.records = {Redo(1, 0)}});
  ASSERT_OK(batches);
  Raised(&asker, Raise(2, 2));  // while the answer was on its way
  asker.acks.clear();
  asker.Send(batches->front());
  asker.Settle();
  ASSERT_THAT(asker.acks, SizeIs(1));
  EXPECT_THAT(asker.acks[0].ack.status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(asker.segment().Status().scl, Lsn(0));
}

// The fork: records 3 and 4 of epoch 1 reached one member only; recovery cut at 2 and epoch 2 went
// on at 101.
Rig WithFork() {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1), Redo(3, 2), Redo(4, 3)}));
  rig.Settle();
  return rig;
}

TEST(GossipForkTest, APeerThatMissedTheTruncationOffersTheForkInVain) {
  Rig peer = WithFork();
  Raised(&peer, Raise(2, 2));  // fenced by the recovery, away when it truncated
  Rig asker;
  asker.Send(Batch({Redo(1, 0), Redo(2, 1)}));
  asker.Settle();
  Raised(&asker, Raise(2, 2, {Cut(2, 2, 100)}));
  const RedoOptions of_two{.epoch = 2};
  asker.Send(Batch({Redo(102, 101, of_two)}, {.epoch = 2, .vdl = 101, .pg_lsn_at_vdl = 101}));
  asker.Settle();
  Pull(&asker, peer, Lsn(101));
  EXPECT_EQ(asker.segment().Status().scl, Lsn(2));

  Rig whole;
  Raised(&whole, Raise(2, 2, {Cut(2, 2, 100)}));
  whole.Send(Batch({Redo(1, 0), Redo(2, 1), Redo(101, 2, of_two)}, {.epoch = 2}));
  whole.Settle();
  Pull(&asker, whole, Lsn(101));
  EXPECT_EQ(asker.segment().Status().scl, Lsn(102));
}

TEST(GossipForkTest, WhatWasTakenInBeforeTheTruncationFallsWithIt) {
  Rig peer = WithFork();
  Raised(&peer, Raise(2, 2));
  Rig asker;
  Raised(&asker, Raise(2, 2));
  Pull(&asker, peer, Lsn(4));  // more than Gossip would ask for: nobody said that 4 is durable
  EXPECT_EQ(asker.segment().Status().scl, Lsn(4));
  Raised(&asker, Raise(2, 2, {Cut(2, 2, 100)}));
  EXPECT_EQ(asker.segment().Status().scl, Lsn(2));
  EXPECT_EQ(asker.segment().Status().records_ahead, 0u);
}

TEST(GossipForkTest, APeerOfAnotherEpochAnswersNothing) {
  Rig peer = WithFork();
  protocol::ReadLogRequest request{.segment = kSegment, .epoch = VolumeEpoch(2)};
  EXPECT_THAT(peer.segment().PlanLogRead(request), StatusIs(absl::StatusCode::kUnavailable));
  Raised(&peer, Raise(3, 3));
  EXPECT_THAT(peer.segment().PlanLogRead(request), StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace sextant::storage
