// Stories of one segment: appends, gaps, duplicates, a full disk, reads. segment.h.
#include "storage-node/segment/segment.h"

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

std::vector<uint64_t> Lsns(const std::vector<RecordLocation>& records) {
  std::vector<uint64_t> lsns;
  for (const RecordLocation& record : records) lsns.push_back(record.lsn.value());
  return lsns;
}

std::vector<uint64_t> LogLsns(Segment& segment, uint64_t after = 0, uint64_t through = UINT64_MAX,
                              uint64_t max_bytes = 1 << 20) {
  auto plan = segment.PlanLogRead({.segment = kSegment,
                                   .epoch = segment.Status().epoch,
                                   .after = Lsn(after),
                                   .through = Lsn(through),
                                   .max_bytes = max_bytes});
  return plan.ok() ? Lsns(plan->records) : std::vector<uint64_t>{};
}

// --- appending

TEST(SegmentAppend, AcknowledgesOnlyWhatIsDurable) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(4, 1, {.prev_page = 1})}));
  rig.Take();
  EXPECT_THAT(rig.acks, IsEmpty());
  EXPECT_EQ(rig.scl(), Lsn(0)) << "nothing is durable yet";
  ASSERT_THAT(rig.unsynced, SizeIs(1));

  rig.Sync();
  rig.Take();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_TRUE(rig.acks[0].ack.status.ok());
  EXPECT_EQ(rig.acks[0].ack.scl, Lsn(4));
  EXPECT_EQ(rig.acks[0].ack.epoch, VolumeEpoch(1));
  EXPECT_EQ(rig.acks[0].to, ReplyToken(1));
  EXPECT_THAT(rig.unsynced, IsEmpty());
}

TEST(SegmentAppend, OneAckPerPeerAndRoundHoweverManyBatches) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0)}), 1);
  rig.Send(Batch({Redo(2, 1, {.prev_page = 1})}), 1);
  rig.Send(Batch({Redo(3, 2, {.prev_page = 2})}), 2);
  rig.Settle();
  ASSERT_THAT(rig.acks, SizeIs(2));
  EXPECT_EQ(rig.acks[0].ack.scl, Lsn(3));
  EXPECT_EQ(rig.acks[1].ack.scl, Lsn(3));
  EXPECT_THAT(rig.disk.log, SizeIs(3));
  EXPECT_EQ(rig.disk.high_water->last_position, LogPosition(3));
}

TEST(SegmentAppend, SclStopsBeforeAGapAndJumpsWhenItIsFilled) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0)}));
  rig.Send(Batch({Redo(7, 5, {.prev_page = 5})}));
  rig.Send(Batch({Redo(9, 7, {.prev_page = 7})}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(1));
  EXPECT_EQ(rig.segment().Status().records_ahead, 2u);
  EXPECT_THAT(LogLsns(rig.segment()), ElementsAre(1)) << "what lies above a gap is not served";

  rig.Send(Batch({Redo(5, 1, {.prev_page = 1})}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(9));
  EXPECT_EQ(rig.segment().Status().records_ahead, 0u);
  EXPECT_EQ(rig.acks.back().ack.scl, Lsn(9));
  EXPECT_THAT(LogLsns(rig.segment()), ElementsAre(1, 5, 7, 9));
}

TEST(SegmentAppend, ADuplicateIsAcknowledgedAndNotStoredAgain) {
  Rig rig;
  const log::EncodedBatch batch = Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1})});
  rig.Send(batch);
  rig.Settle();
  rig.acks.clear();

  rig.Send(batch, 5);
  rig.Take();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_EQ(rig.acks[0].to, ReplyToken(5));
  EXPECT_EQ(rig.acks[0].ack.scl, Lsn(2));
  EXPECT_THAT(rig.unsynced, IsEmpty());
}

TEST(SegmentAppend, ADuplicateOfWhatIsOnItsWayToTheDiskWaitsForIt) {
  Rig rig;
  const log::EncodedBatch batch = Batch({Redo(1, 0)});
  rig.Send(batch, 1);
  rig.Take();
  rig.Send(batch, 2);  // resent on a new stream
  rig.Take();
  EXPECT_THAT(rig.acks, IsEmpty());
  EXPECT_THAT(rig.unsynced, SizeIs(1)) << "not stored twice";
  rig.Sync();
  rig.Take();
  EXPECT_THAT(rig.acks, SizeIs(2));
}

TEST(SegmentAppend, ABatchThatIsPartlyKnownAddsTheRest) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1})}));
  rig.Settle();
  rig.Send(Batch({Redo(2, 1, {.prev_page = 1}), Redo(3, 2, {.prev_page = 2})}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_THAT(LogLsns(rig.segment()), ElementsAre(1, 2, 3));
}

TEST(SegmentAppend, AHeartbeatIsAnsweredAtOnceAndPersistsNothing) {
  Rig rig;
  rig.Send(Batch({Redo(3, 0)}));
  rig.Settle();
  rig.acks.clear();
  rig.Send(Batch({}, {.vdl = 20, .pg_lsn_at_vdl = 3, .pgmrpl = 2}));
  rig.Take();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_EQ(rig.acks[0].ack.scl, Lsn(3));
  EXPECT_THAT(rig.unsynced, IsEmpty());
  EXPECT_EQ(rig.segment().Status().known_vdl, Lsn(20));
  EXPECT_EQ(rig.segment().Status().pg_lsn_at_vdl, Lsn(3));
  EXPECT_EQ(rig.segment().Status().pgmrpl, Lsn(2));
}

TEST(SegmentAppend, WatermarksOfAnOldHeaderDoNotFallBack) {
  Rig rig;
  rig.Send(Batch({}, {.vdl = 20, .pg_lsn_at_vdl = 3, .pgmrpl = 9}));
  rig.Send(Batch({}, {.vdl = 10, .pg_lsn_at_vdl = 2, .pgmrpl = 4}));
  EXPECT_EQ(rig.segment().Status().known_vdl, Lsn(20));
  EXPECT_EQ(rig.segment().Status().pg_lsn_at_vdl, Lsn(3));
  EXPECT_EQ(rig.segment().Status().pgmrpl, Lsn(9));
}

TEST(SegmentAppend, RefusesMalformedBatches) {
  const std::vector<log::EncodedBatch> malformed = {
      Batch({Redo(1, 0, {.epoch = 2})}),                 // newer than its batch
      Batch({Redo(1, 0, {.page = PageNo(9)})}),          // of another group
      Batch({Redo(1, 0, {.page = PageNo(20)})}),         // of another group
      Batch({Redo(PageIndex::kMaxLsn.value() + 1, 0)}),  // out of range
      Batch({Redo(PageIndex::kMaxLsn.value(), 0)}),      // it would look like a lost mark
      Batch({Redo(5, 0, {.page = PageNo((kPagesPerPg << 32) + kPage.value())})}),
      Batch({}, {.vdl = 3, .pg_lsn_at_vdl = 4}),  // contradicts itself
  };
  for (const log::EncodedBatch& batch : malformed) {
    Rig rig;
    rig.Send(batch);
    rig.Take();
    ASSERT_THAT(rig.acks, SizeIs(1));
    EXPECT_EQ(rig.acks[0].ack.status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(rig.unsynced, IsEmpty());
  }
}

TEST(SegmentAppend, RefusesAnotherMembershipEpoch) {
  Rig rig;
  log::BatchBuilder builder(kSegment.volume, kSegment.pg);
  rig.Send(builder.Seal({.epoch = VolumeEpoch(1), .membership = MembershipEpoch(2)}));
  rig.Take();
  ASSERT_THAT(rig.acks, SizeIs(1));
  EXPECT_EQ(rig.acks[0].ack.status.code(), absl::StatusCode::kFailedPrecondition);
}

// --- a full disk

TEST(SegmentFullDisk, RefusedBatchesAreForgottenAndTakenWhenResent) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0)}));
  rig.Settle();
  rig.acks.clear();

  rig.Send(Batch({Redo(2, 1, {.prev_page = 1})}), 1);
  rig.Take();
  rig.Send(Batch({Redo(3, 2, {.prev_page = 2})}), 2);
  rig.Take();
  ASSERT_THAT(rig.unsynced, SizeIs(2));
  rig.RefuseUnsynced();
  ASSERT_THAT(rig.acks, SizeIs(2));
  for (const SegmentOutput::Ack& ack : rig.acks) {
    EXPECT_EQ(ack.ack.status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ack.ack.scl, Lsn(1));
  }

  rig.Send(Batch({Redo(2, 1, {.prev_page = 1}), Redo(3, 2, {.prev_page = 2})}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_EQ(rig.disk.log.rbegin()->first, LogPosition(2)) << "positions stay dense";
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_FALSE(rig.segment().Status().is_damaged);
}

TEST(SegmentFullDisk, WhatWasNotYetHandedOutIsNotRefused) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0)}), 1);
  rig.Take();
  rig.Send(Batch({Redo(2, 1, {.prev_page = 1})}), 2);
  rig.RefuseUnsynced();
  EXPECT_THAT(rig.acks, SizeIs(1));
  rig.Settle();
  ASSERT_THAT(rig.acks, SizeIs(2));
  EXPECT_TRUE(rig.acks[1].ack.status.ok());
  EXPECT_EQ(rig.acks[1].ack.scl, Lsn(0)) << "lsn 1 is missing";
  EXPECT_EQ(rig.disk.log.begin()->first, LogPosition(1));
}

// --- reading

TEST(SegmentRead, PlansAPageFromItsLastFullImageAndFoldsIt) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1}),
                  Redo(3, 2, {.prev_page = 2, .is_full_image = true}),
                  Redo(4, 3, {.page = PageNo(11)}), Redo(5, 4, {.prev_page = 3})}));
  rig.Settle();
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(5));
  ASSERT_TRUE(plans.ok()) << plans.status();
  EXPECT_THAT(Lsns((*plans)[0].records), ElementsAre(3, 5));
  auto image = rig.Fold((*plans)[0]);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->lsn, Lsn(5));
  EXPECT_EQ(image->bytes, '\5' + std::string(kPageBytes - 1, '\3'));

  plans = rig.segment().PlanPageRead(rig.ReadRequest(2));
  ASSERT_TRUE(plans.ok());
  EXPECT_THAT(Lsns((*plans)[0].records), ElementsAre(1, 2));
}

TEST(SegmentRead, AHeldVersionShortensThePlan) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1}), Redo(3, 2, {.prev_page = 2})}));
  rig.Settle();
  const std::vector<Lsn> held = {Lsn(2)};
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(3), held);
  ASSERT_TRUE(plans.ok());
  EXPECT_THAT(Lsns((*plans)[0].records), ElementsAre(3));
  const std::vector<Lsn> too_many = {Lsn(2), Lsn(2)};
  EXPECT_EQ(rig.segment().PlanPageRead(rig.ReadRequest(3), too_many).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SegmentRead, APageNeverWrittenHasAnEmptyPlan) {
  Rig rig;
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(0));
  ASSERT_TRUE(plans.ok()) << plans.status();
  EXPECT_THAT((*plans)[0].records, IsEmpty());
  EXPECT_EQ(rig.Fold((*plans)[0])->bytes, std::string(kPageBytes, '\0'));
}

TEST(SegmentRead, ServesOnlyWhereItIsComplete) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0)}));
  rig.Send(Batch({Redo(5, 3, {.prev_page = 3})}));
  rig.Settle();
  auto code = [&rig](uint64_t read_point, std::optional<Lsn> pg_lsn) {
    return rig.segment().PlanPageRead(rig.ReadRequest(read_point, pg_lsn)).status().code();
  };
  EXPECT_EQ(code(1, {}), absl::StatusCode::kOk);
  EXPECT_EQ(code(2, Lsn(1)), absl::StatusCode::kOk);
  EXPECT_EQ(code(2, {}), absl::StatusCode::kOutOfRange)
      << "cannot know that 2 is not of this group";
  EXPECT_EQ(code(5, Lsn(5)), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(code(4, Lsn(5)), absl::StatusCode::kInvalidArgument);
}

TEST(SegmentRead, AnIdleGroupIsServedAsTheVolumeMovesOn) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0)}));
  rig.Settle();
  EXPECT_FALSE(rig.segment().PlanPageRead(rig.ReadRequest(100)).ok());
  rig.Send(Batch({}, {.vdl = 100, .pg_lsn_at_vdl = 1}));
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(100));
  ASSERT_TRUE(plans.ok()) << plans.status();
  EXPECT_THAT(Lsns((*plans)[0].records), ElementsAre(1));
  EXPECT_TRUE((*plans)[0].may_store);

  rig.Send(Batch({}, {.vdl = 200, .pg_lsn_at_vdl = 150}));
  EXPECT_FALSE(rig.segment().PlanPageRead(rig.ReadRequest(200)).ok()) << "150 is missing here";
}

TEST(SegmentRead, AVersionThatCouldStillBeAnnulledMayNotBeStored) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1})}, {.vdl = 1, .pg_lsn_at_vdl = 1}));
  rig.Settle();
  EXPECT_TRUE((*rig.segment().PlanPageRead(rig.ReadRequest(1)))[0].may_store);
  EXPECT_FALSE((*rig.segment().PlanPageRead(rig.ReadRequest(2)))[0].may_store);
}

TEST(SegmentRead, RefusesOldReadPointsOtherEpochsAndForeignPages) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1})},
                 {.vdl = 2, .pg_lsn_at_vdl = 2, .pgmrpl = 2}));
  rig.Settle();
  auto code = [&rig](protocol::ReadPagesRequest request) {
    return rig.segment().PlanPageRead(request).status().code();
  };
  EXPECT_EQ(code(rig.ReadRequest(1)), absl::StatusCode::kOutOfRange);
  protocol::ReadPagesRequest request = rig.ReadRequest(2);
  EXPECT_EQ(code(request), absl::StatusCode::kOk);
  request.epoch = VolumeEpoch(0);
  EXPECT_EQ(code(request), absl::StatusCode::kFailedPrecondition);
  request.epoch = VolumeEpoch(2);
  EXPECT_EQ(code(request), absl::StatusCode::kUnavailable);
  request = rig.ReadRequest(2);
  request.pages = {PageNo(20)};
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
}

TEST(SegmentRead, ALogReadIsCutToItsBytesAndGoesOn) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1}), Redo(3, 2, {.prev_page = 2})}));
  rig.Settle();
  EXPECT_THAT(LogLsns(rig.segment(), 1, 2), ElementsAre(2));
  EXPECT_THAT(LogLsns(rig.segment(), 0, 9, 1), ElementsAre(1)) << "at least one";
  auto plan = rig.segment().PlanLogRead(
      {.segment = kSegment, .epoch = VolumeEpoch(1), .after = Lsn(0), .max_bytes = 1});
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->is_last);
  EXPECT_EQ(plan->scl, Lsn(3));
  plan = rig.segment().PlanLogRead({.segment = kSegment, .epoch = VolumeEpoch(1), .after = Lsn(2)});
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->is_last);
  EXPECT_EQ(rig.ReadRecord(plan->records[0]), Redo(3, 2, {.prev_page = 2}));
}

}  // namespace
}  // namespace sextant::storage
