// Stories of one segment: writers that succeed each other, and what truncations leave. segment.h.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// 5, 8 and 10, all of epoch 1, durable; VDL 8 is known.
Rig WithThreeRecords() {
  Rig rig;
  rig.Send(Batch({Redo(5, 0), Redo(8, 5, {.prev_page = 5}), Redo(10, 8, {.prev_page = 8})},
                 {.vdl = 8, .pg_lsn_at_vdl = 8}));
  rig.Settle();
  rig.acks.clear();
  return rig;
}

TEST(SegmentFence, BindsAtOnceAndAnswersWhenDurable) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(9));
  rig.Send(Batch({Redo(11, 10, {.prev_page = 10})}));
  rig.Take();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_EQ(rig.acks[0].ack.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rig.acks[0].ack.epoch, VolumeEpoch(2)) << "the sender learns that it is fenced";
  EXPECT_THAT(rig.replies, IsEmpty());
  EXPECT_EQ(rig.segment().state().epoch, VolumeEpoch(1));

  rig.Sync();
  rig.Take();
  ASSERT_THAT(rig.replies, SizeIs(1));
  ASSERT_TRUE(rig.replies[0].reply.ok()) << rig.replies[0].reply.status();
  EXPECT_EQ(rig.replies[0].reply->epoch, VolumeEpoch(2));
  EXPECT_EQ(rig.replies[0].reply->writer, WriterId(20));
  EXPECT_EQ(rig.replies[0].reply->scl, Lsn(10));
  rig.Crash();
  EXPECT_EQ(rig.segment().state().epoch, VolumeEpoch(2));
}

TEST(SegmentFence, AppendsThatWereTakenInBeforeItCountInItsAnswer) {
  Rig rig = WithThreeRecords();
  rig.Send(Batch({Redo(11, 10, {.prev_page = 10})}));
  rig.Take();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(9));
  rig.Settle();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_TRUE(rig.acks[0].ack.status.ok());
  ASSERT_THAT(rig.replies, SizeIs(1));
  EXPECT_EQ(rig.replies[0].reply->scl, Lsn(11)) << "recovery must see what was acknowledged";
}

TEST(SegmentFence, ABatchOfAnEpochItWasNotToldOfIsRefused) {
  Rig rig = WithThreeRecords();
  rig.Send(Batch({}, {.epoch = 2}));
  rig.Take();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_EQ(rig.acks[0].ack.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rig.acks[0].ack.epoch, VolumeEpoch(1)) << "below the batch's: raise it first";
}

// Simulator, seed 300957 of 7c06f1f: a claimant died with its claim on its way to one member; the
// next one claimed the same epoch, opened with the others, and was refused by that member for good.
TEST(SegmentFence, WhoTruncatesInAnEpochHasWonIt) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(1));
  rig.Settle();
  rig.segment().RaiseEpoch(Raise(2, 21, {Cut(1, 0, 0)}), ReplyToken(2));
  rig.Settle();
  EXPECT_EQ(rig.replies.back().reply.status().code(), absl::StatusCode::kFailedPrecondition);

  rig.segment().RaiseEpoch(Raise(2, 21, {Cut(2, 9, 100)}), ReplyToken(3));
  rig.Settle();
  ASSERT_TRUE(rig.replies.back().reply.ok());
  EXPECT_EQ(rig.replies.back().reply->writer, WriterId(21));
  rig.Crash();
  EXPECT_EQ(rig.segment().Status().writer, WriterId(21));
  for (const auto& loser : {Raise(2, 20), Raise(2, 20, {Cut(2, 9, 100)})}) {
    rig.segment().RaiseEpoch(loser, ReplyToken(4));
    rig.Settle();
    EXPECT_EQ(rig.replies.back().reply.status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST(SegmentFence, OneEpochHasOneWriter) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(1));
  rig.segment().RaiseEpoch(Raise(2, 21), ReplyToken(2));
  rig.segment().RaiseEpoch(Raise(1, 1), ReplyToken(3));
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(4));  // the same claim again
  rig.Settle();
  ASSERT_THAT(rig.replies, SizeIs(4));
  EXPECT_EQ(rig.replies[0].reply.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rig.replies[1].reply.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(rig.replies[2].reply.ok());
  EXPECT_TRUE(rig.replies[3].reply.ok());

  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(5));
  rig.Take();
  EXPECT_TRUE(rig.replies.back().reply.ok()) << "durable already: answered at once";
  EXPECT_THAT(rig.unsynced, IsEmpty());
}

TEST(SegmentFence, AClaimThatIsOvertakenBeforeItIsDurableFails) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(1));
  rig.segment().RaiseEpoch(Raise(3, 30), ReplyToken(2));
  rig.Settle();
  ASSERT_THAT(rig.replies, SizeIs(2));
  EXPECT_EQ(rig.replies[0].reply.status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(rig.replies[1].reply.ok());
  EXPECT_EQ(rig.replies[1].reply->epoch, VolumeEpoch(3));
}

TEST(SegmentFence, ReadsOfAnEpochThatIsNotDurableYetGoElsewhere) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(1));
  protocol::ReadLogRequest request{.segment = kSegment, .epoch = VolumeEpoch(1)};
  EXPECT_EQ(rig.segment().PlanLogRead(request).status().code(),
            absl::StatusCode::kFailedPrecondition);
  request.epoch = VolumeEpoch(2);
  EXPECT_EQ(rig.segment().PlanLogRead(request).status().code(), absl::StatusCode::kUnavailable);
  rig.Settle();
  EXPECT_TRUE(rig.segment().PlanLogRead(request).ok());
}

TEST(SegmentFence, AFullDiskKeepsThePromiseAndTheNextWriteCarriesIt) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(9));
  rig.Take();
  rig.RefuseUnsynced();
  ASSERT_THAT(rig.replies, SizeIs(1));
  EXPECT_EQ(rig.replies[0].reply.status().code(), absl::StatusCode::kResourceExhausted);

  rig.Send(Batch({Redo(11, 10, {.prev_page = 10})}));
  rig.Take();
  EXPECT_EQ(rig.acks.back().ack.status.code(), absl::StatusCode::kFailedPrecondition);

  // A heartbeat of the new epoch is acknowledged only with the promise that it relies on.
  rig.acks.clear();
  rig.Send(Batch({}, {.epoch = 2, .vdl = 8, .pg_lsn_at_vdl = 8}));
  rig.Take();
  EXPECT_THAT(rig.acks, IsEmpty());
  ASSERT_THAT(rig.unsynced, SizeIs(1));
  ASSERT_THAT(rig.unsynced[0].second.states, SizeIs(1));
  EXPECT_EQ(rig.unsynced[0].second.states[0].epoch, VolumeEpoch(2));
  rig.Settle();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_TRUE(rig.acks[0].ack.status.ok());
  EXPECT_EQ(rig.acks[0].ack.epoch, VolumeEpoch(2));
}

TEST(SegmentTruncation, SclFallsAndTheNewChainGoesOnFromThere) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 9, 100)}), ReplyToken(9));
  rig.Settle();
  ASSERT_TRUE(rig.replies[0].reply.ok());
  EXPECT_EQ(rig.replies[0].reply->scl, Lsn(8));

  rig.Send(Batch({Redo(101, 8, {.prev_page = 8, .epoch = 2})},
                 {.epoch = 2, .vdl = 8, .pg_lsn_at_vdl = 8}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(101));
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(101));
  ASSERT_TRUE(plans.ok());
  ASSERT_TRUE(rig.Fold((*plans)[0]).ok()) << "the page chain avoids lsn 10 as well";
  EXPECT_EQ((*plans)[0].records.size(), 3u);
}

TEST(SegmentTruncation, AnnulledRecordsThatComeLateAreDropped) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 9, 100)}), ReplyToken(9));
  rig.Settle();
  const LogPosition before = rig.disk.high_water->last_position;
  rig.Send(Batch({Redo(10, 8, {.prev_page = 8}), Redo(11, 10, {.prev_page = 10})}, {.epoch = 2}));
  rig.Settle();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_TRUE(rig.acks[0].ack.status.ok()) << "acknowledged: there is nothing to resend";
  EXPECT_EQ(rig.scl(), Lsn(8));
  EXPECT_EQ(rig.disk.high_water->last_position, before) << "nor is it stored";
}

TEST(SegmentTruncation, TheSurvivingTailIsWrittenBackUnderTheNewEpoch) {
  Rig rig;
  rig.Send(Batch({Redo(5, 0)}));
  rig.Settle();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(9));
  rig.Settle();
  rig.Send(Batch({Redo(8, 5, {.prev_page = 5})}, {.epoch = 2}));  // a record of epoch 1
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 8, 100)}), ReplyToken(9));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(8));
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(8));
}

TEST(SegmentTruncation, PendingRecordsOfTheOldWriterAreAnnulledWithTheRest) {
  Rig rig = WithThreeRecords();
  rig.Send(Batch({Redo(11, 10, {.prev_page = 10})}));
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 8, 100)}), ReplyToken(9));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(8));
  EXPECT_EQ(rig.segment().Status().records_ahead, 0u);
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(8));
  EXPECT_FALSE(rig.segment().Status().is_damaged);
}

TEST(SegmentTruncation, LeftoversNeverCountForAReaderThatKnowsTheGroupsTail) {
  // Fenced, not yet told of the truncation: 10 is still here though recovery cut it off.
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(9));
  rig.Settle();
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(500, Lsn(8)));
  ASSERT_TRUE(plans.ok()) << plans.status();
  EXPECT_EQ((*plans)[0].records.back().lsn, Lsn(8));

  // The new writer's first record forks off below 10, and waits until the truncation explains it.
  rig.Send(Batch({Redo(501, 8, {.prev_page = 8, .epoch = 2})}, {.epoch = 2}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(10));
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 8, 500)}), ReplyToken(9));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(501));
}

TEST(SegmentTruncation, WhatIsKnownToBeDurableIsNeverCutOff) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 7, 100)}), ReplyToken(9));
  rig.Settle();
  ASSERT_THAT(rig.replies, SizeIs(1));
  EXPECT_EQ(rig.replies[0].reply.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rig.scl(), Lsn(10));
  EXPECT_EQ(rig.segment().state().epoch, VolumeEpoch(1)) << "refused as a whole";
}

TEST(SegmentTruncation, OneThatNeverOpenedIsWithdrawnAndWhatItCutOffComesBack) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 8, 100)}), ReplyToken(1));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(8));
  // Recovery 3 met no member that knew of it, and found 10 durable.
  rig.segment().RaiseEpoch(Raise(3, 30, {Cut(3, 10, 110)}), ReplyToken(2));
  rig.Settle();
  ASSERT_TRUE(rig.replies.back().reply.ok());
  EXPECT_EQ(rig.scl(), Lsn(8)) << "never more than it is sure of";
  rig.Send(Batch({Redo(10, 8, {.prev_page = 8})}, {.epoch = 3}));
  rig.Send(Batch({Redo(111, 10, {.prev_page = 10, .epoch = 3})}, {.epoch = 3}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(111));
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(111));
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(111));
  ASSERT_TRUE(plans.ok());
  EXPECT_TRUE(rig.Fold((*plans)[0]).ok());
}

TEST(SegmentTruncation, AMemberThatWasAwayLearnsThemAllAtOnce) {
  Rig rig = WithThreeRecords();
  rig.segment().RaiseEpoch(Raise(4, 40, {Cut(2, 9, 100), Cut(3, 150, 250), Cut(4, 150, 300)}),
                           ReplyToken(9));
  rig.Settle();
  ASSERT_TRUE(rig.replies[0].reply.ok());
  EXPECT_THAT(rig.replies[0].reply->truncations, SizeIs(3));
  // What it missed meanwhile: 120 of epoch 2 stands, 200 was annulled by epoch 4.
  rig.Send(Batch(
      {Redo(120, 8, {.prev_page = 8, .epoch = 2}), Redo(200, 120, {.prev_page = 120, .epoch = 2}),
       Redo(301, 120, {.prev_page = 120, .epoch = 4})},
      {.epoch = 4}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(301));
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(301));
  ASSERT_TRUE(plans.ok());
  EXPECT_TRUE(rig.Fold((*plans)[0]).ok());
}

}  // namespace
}  // namespace sextant::storage
