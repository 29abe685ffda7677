// Stories of one segment whose log begins later than at the start: collected, or rebuilt from
// pages.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr PageNo kOther{11};
const CollectOptions kAnything{.min_bytes = 0};

// Positions 1 to 6 hold LSNs 1 to 6, the even ones of another page; all is durable for the volume.
Rig WithSixBatches(uint64_t pgmrpl = 4, uint64_t held_by_all = 4) {
  Rig rig;
  for (uint64_t lsn = 1; lsn <= 6; ++lsn) {
    const RedoOptions of{.page = lsn % 2 == 0 ? kOther : kPage, .prev_page = lsn < 3 ? 0 : lsn - 2};
    rig.Send(Batch({Redo(lsn, lsn - 1, of)}));
    rig.Settle();
  }
  rig.Send(Batch({}, {.vdl = 6, .pg_lsn_at_vdl = 6, .pgmrpl = pgmrpl, .held_by_all = held_by_all}));
  rig.Settle();
  return rig;
}

absl::StatusCode CodeOf(const absl::Status& status) { return status.code(); }

std::vector<Lsn> LogLsns(Rig& rig, uint64_t after) {
  const auto plan = rig.segment().PlanLogRead(
      {.segment = kSegment, .epoch = rig.segment().Status().epoch, .after = Lsn(after)});
  std::vector<Lsn> lsns;
  if (!plan.ok()) return {Lsn(999)};
  for (const RecordLocation& at : plan->records) lsns.push_back(at.lsn);
  return lsns;
}

absl::StatusOr<page::PageImage> ReadPage(Rig& rig, uint64_t read_point) {
  auto base = rig.disk.Page(kPage, Lsn(read_point));
  const Lsn base_lsn = base ? base->lsn : Lsn();
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(read_point), std::vector{base_lsn});
  if (!plans.ok()) return plans.status();
  return rig.Fold(plans->front(), std::move(base));
}

TEST(SegmentLogStart, CollectsWhatNobodyNeedsAndGoesOnFromThere) {
  Rig rig = WithSixBatches();
  const uint64_t bytes = rig.segment().Status().log_bytes;
  ASSERT_TRUE(rig.Collect());
  protocol::SegmentStatus status = rig.segment().Status();
  EXPECT_EQ(status.log_start, Lsn(4));
  EXPECT_EQ(status.scl, Lsn(6));
  EXPECT_LT(status.log_bytes, bytes);
  EXPECT_THAT(rig.disk.log, SizeIs(2));
  EXPECT_EQ(rig.disk.state.first_position, LogPosition(5));

  EXPECT_THAT(LogLsns(rig, 4), ElementsAre(Lsn(5), Lsn(6)));
  EXPECT_EQ(ReadPage(rig, 4)->lsn, Lsn(3));
  EXPECT_EQ(ReadPage(rig, 6)->lsn, Lsn(5));
  rig.Send(Batch({Redo(7, 6, {.prev_page = 5})}));
  rig.Send(
      Batch({Redo(2, 1, {.page = kOther})}));  // late, from a peer: nothing remains to be learned
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(7));
  EXPECT_EQ(rig.disk.log.rbegin()->first, LogPosition(7));
  EXPECT_FALSE(rig.Collect()) << "nothing more may be collected";
}

TEST(SegmentLogStart, IsTheSameAfterARestart) {
  Rig rig = WithSixBatches(6, 6);
  ASSERT_TRUE(rig.Collect());
  EXPECT_THAT(rig.disk.log, IsEmpty());
  rig.Crash();
  const protocol::SegmentStatus status = rig.segment().Status();
  EXPECT_EQ(status.scl, Lsn(6));
  EXPECT_EQ(status.log_start, Lsn(6));
  EXPECT_EQ(status.log_bytes, 0u);
  EXPECT_EQ(status.known_vdl, Lsn(6)) << "only what is durable for the volume is collected";
  EXPECT_EQ(status.pg_lsn_at_vdl, Lsn(6));
  EXPECT_FALSE(status.is_damaged);
  EXPECT_EQ(ReadPage(rig, 6)->lsn, Lsn(5));
  rig.Send(Batch({Redo(7, 6, {.prev_page = 5})}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(7));
  EXPECT_EQ(rig.disk.log.begin()->first, LogPosition(7)) << "positions go on";
}

TEST(SegmentLogStart, WhatLiesBelowIsRefusedNotGuessed) {
  Rig rig = WithSixBatches();
  ASSERT_TRUE(rig.Collect());
  for (const bool is_restarted : {false, true}) {
    SCOPED_TRACE(is_restarted);
    if (is_restarted) rig.Crash();  // PGMRPL was told by a heartbeat, and is forgotten
    EXPECT_EQ(CodeOf(ReadPage(rig, 3).status()), absl::StatusCode::kOutOfRange);
    EXPECT_TRUE(ReadPage(rig, 4).ok());
    const auto log = rig.segment().PlanLogRead(
        {.segment = kSegment, .epoch = rig.disk.state.epoch, .after = Lsn(3)});
    EXPECT_EQ(CodeOf(log.status()), absl::StatusCode::kOutOfRange);
  }
}

TEST(SegmentLogStart, IsHeldBackByReadersMembersDurabilityAndGaps) {
  EXPECT_EQ(WithSixBatches(2, 6).segment().PlanCollect(kAnything)->through, Lsn(2)) << "readers";
  EXPECT_EQ(WithSixBatches(6, 3).segment().PlanCollect(kAnything)->through, Lsn(3)) << "members";
  EXPECT_FALSE(WithSixBatches(0, 6).segment().PlanCollect(kAnything).has_value());
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(2, 1, {.prev_page = 1}), Redo(4, 3, {.prev_page = 3})},
                 {.vdl = 1, .pg_lsn_at_vdl = 1, .pgmrpl = 9, .held_by_all = 9}));
  rig.Settle();
  EXPECT_FALSE(rig.segment().PlanCollect({.min_bytes = 1}).has_value()) << "durability; and LSN 4";
  EXPECT_EQ(rig.segment().PlanCollect(kAnything)->through, Lsn(1));
  rig.Send(Batch({}, {.vdl = 9, .pg_lsn_at_vdl = 4}));
  EXPECT_EQ(rig.segment().PlanCollect(kAnything)->through, Lsn(2)) << "the gap";
}

TEST(SegmentLogStart, ARoundMustBeWorthItAndIsBounded) {
  Rig rig = WithSixBatches();
  const uint64_t bytes = rig.disk.log.begin()->second->size();
  EXPECT_TRUE(rig.segment().PlanCollect({.min_bytes = 4 * bytes}).has_value());
  EXPECT_FALSE(rig.segment().PlanCollect({.min_bytes = 4 * bytes + 1}).has_value());
  const auto plan = rig.segment().PlanCollect({.min_bytes = 0, .max_records = 3});
  EXPECT_EQ(plan->through, Lsn(3));
  EXPECT_THAT(plan->pages, ElementsAre(kPage, kOther));
}

TEST(SegmentLogStart, APositionStaysWhileARecordInItCounts) {
  Rig rig;
  rig.Send(Batch({Redo(1, 0), Redo(5, 4, {.prev_page = 4})}));  // 5 waits ahead of the gap
  rig.Settle();
  rig.Send(Batch({Redo(2, 1, {.prev_page = 1}), Redo(3, 2, {.prev_page = 2})},
                 {.vdl = 5, .pg_lsn_at_vdl = 5, .pgmrpl = 5, .held_by_all = 5}));
  rig.Settle();
  ASSERT_TRUE(rig.Collect());
  EXPECT_EQ(rig.segment().log_start(), Lsn(3));
  EXPECT_THAT(rig.disk.log, SizeIs(2)) << "a prefix only, and the first position holds LSN 5";
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_EQ(rig.segment().Status().records_ahead, 1u);
  rig.Send(Batch({Redo(4, 3, {.prev_page = 3})},
                 {.vdl = 5, .pg_lsn_at_vdl = 5, .pgmrpl = 5, .held_by_all = 5}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(5));
  ASSERT_TRUE(rig.Collect());
  EXPECT_THAT(rig.disk.log, IsEmpty());
}

TEST(SegmentLogStart, ACrashBeforeItIsDurableLosesNothing) {
  Rig rig = WithSixBatches();
  const auto plan = rig.segment().PlanCollect(kAnything);
  rig.MakeVersions(*plan);
  rig.segment().MoveLogStart({plan->through, Lsn()}, ReplyToken(200));
  rig.Take();
  EXPECT_EQ(rig.segment().log_start(), Lsn()) << "not before it is durable";
  EXPECT_THAT(LogLsns(rig, 0), SizeIs(6));
  rig.Crash();
  EXPECT_EQ(rig.segment().log_start(), Lsn());
  EXPECT_THAT(LogLsns(rig, 0), SizeIs(6));
  EXPECT_EQ(ReadPage(rig, 2)->lsn, Lsn(1)) << "no version is too new for an old read point";
}

TEST(SegmentLogStart, IsWrittenByItselfAndOnlyWhenNothingElseIsUnderWay) {
  Rig rig = WithSixBatches();
  const auto plan = rig.segment().PlanCollect(kAnything);
  rig.MakeVersions(*plan);
  rig.Send(Batch({Redo(7, 6, {.prev_page = 5})}));
  rig.Take();  // position 7 is under way
  rig.segment().MoveLogStart({plan->through, Lsn()}, ReplyToken(200));
  rig.Send(Batch({Redo(8, 7, {.prev_page = 7})}));
  rig.Take();  // and so is position 8
  rig.Sync();
  rig.Sync();
  rig.Send(Batch({Redo(9, 8, {.prev_page = 8})}));
  rig.segment().RaiseEpoch(Raise(2, 20), ReplyToken(1));
  rig.Take();
  ASSERT_THAT(rig.unsynced, SizeIs(1));
  EXPECT_TRUE(rig.unsynced.front().second.MakesRoom());
  EXPECT_EQ(rig.unsynced.front().second.states.at(0).epoch, VolumeEpoch(1));
  rig.Take();
  ASSERT_THAT(rig.unsynced, SizeIs(2));
  EXPECT_EQ(rig.unsynced.back().second.states.at(0).log_start, Lsn(4)) << "no state takes it back";
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(9));
  EXPECT_EQ(rig.segment().log_start(), Lsn(4));
  EXPECT_EQ(rig.disk.state, rig.segment().state());
  ASSERT_THAT(rig.replies, SizeIs(1));
}

TEST(SegmentLogStart, RefusedForWantOfRoomItIsAsBefore) {
  Rig rig = WithSixBatches();
  rig.MakeVersions(*rig.segment().PlanCollect(kAnything));
  rig.segment().MoveLogStart({Lsn(4), Lsn()}, ReplyToken(200));
  rig.Take();
  rig.RefuseUnsynced();
  ASSERT_THAT(rig.log_start_replies, SizeIs(1));
  EXPECT_EQ(CodeOf(rig.log_start_replies[0]), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(LogLsns(rig, 0), SizeIs(6));
  EXPECT_TRUE(rig.Collect()) << "and can be tried again";
}

TEST(SegmentLogStart, NothingIsCollectedWhileTheSegmentMayLackWhatItHeld) {
  Rig rig = WithSixBatches(6, 6);
  std::string bytes = *rig.disk.log.at(LogPosition(6));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  rig.disk.log[LogPosition(6)] = std::make_shared<const std::string>(bytes);
  rig.Crash();
  ASSERT_TRUE(rig.segment().Status().is_damaged);
  rig.Send(Batch({}, {.vdl = 6, .pg_lsn_at_vdl = 6, .pgmrpl = 6, .held_by_all = 6}));
  EXPECT_FALSE(rig.Collect()) << "without its log nobody would see the damage any more";

  rig.segment().MoveLogStart({Lsn(3), Lsn()}, ReplyToken(200));  // whoever asks
  rig.Settle();
  rig.Crash();
  EXPECT_EQ(rig.segment().log_start(), Lsn(3));
  EXPECT_TRUE(rig.segment().Status().is_damaged);
}

TEST(SegmentLogStart, JumpsAboveSclWhenThePagesCameFromAPeer) {
  Rig rig = WithSixBatches();
  rig.Send(Batch({Redo(103, 102, {.prev_page = 100})},
                 {.vdl = 102, .pg_lsn_at_vdl = 102, .pgmrpl = 90, .held_by_all = 90}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(6));
  for (PageNo page : {kPage, kOther}) {
    rig.disk.pages[page][Lsn(100)] = {Lsn(100), std::string(kPageBytes, 'p')};
  }
  rig.segment().MoveLogStart({Lsn(100), Lsn(101)}, ReplyToken(200));
  rig.Settle();
  ASSERT_TRUE(rig.log_start_replies.at(0).ok());
  EXPECT_EQ(rig.scl(), Lsn(100));
  EXPECT_THAT(rig.disk.log, SizeIs(1)) << "what it had of the older log is not needed";
  rig.Send(Batch({Redo(102, 100, {.page = kOther, .prev_page = 100})}));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(103));
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(103));
  EXPECT_EQ(CodeOf(ReadPage(rig, 100).status()), absl::StatusCode::kOutOfRange) << "the floor";
  EXPECT_EQ(ReadPage(rig, 101)->lsn, Lsn(100));
  EXPECT_EQ(ReadPage(rig, 103)->lsn, Lsn(103));
  EXPECT_EQ(rig.segment().Status().read_floor, Lsn(101));
}

TEST(SegmentLogStart, AJumpBeyondAllThatWasLostHealsDamage) {
  Rig rig = WithSixBatches();
  rig.disk.log.erase(LogPosition(5));
  rig.Crash();
  ASSERT_TRUE(rig.segment().Status().is_damaged);
  rig.segment().MoveLogStart({Lsn(50), Lsn(50)}, ReplyToken(200));
  rig.Settle();
  for (const bool is_restarted : {false, true}) {
    if (is_restarted) rig.Crash();
    EXPECT_FALSE(rig.segment().Status().is_damaged);
    EXPECT_EQ(rig.scl(), Lsn(50));
  }
}

TEST(SegmentLogStart, NonsenseIsRefused) {
  Rig rig = WithSixBatches();
  ASSERT_TRUE(rig.Collect());
  rig.log_start_replies.clear();
  rig.segment().MoveLogStart({Lsn(3), Lsn()}, ReplyToken(1));
  rig.segment().MoveLogStart({Lsn(4), Lsn()}, ReplyToken(2));  // is there
  rig.segment().MoveLogStart({Lsn(6), Lsn()}, ReplyToken(3));
  rig.segment().MoveLogStart({Lsn(5), Lsn()}, ReplyToken(4));  // while the other is under way
  rig.Settle();
  ASSERT_THAT(rig.log_start_replies, SizeIs(4));
  EXPECT_EQ(CodeOf(rig.log_start_replies[0]), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(CodeOf(rig.log_start_replies[1]), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(rig.log_start_replies[2]), absl::StatusCode::kAborted);
  EXPECT_EQ(CodeOf(rig.log_start_replies[3]), absl::StatusCode::kOk) << "the one that was first";
  EXPECT_EQ(rig.segment().log_start(), Lsn(6));

  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 5, 5000)}), ReplyToken(1));
  rig.Settle();
  EXPECT_EQ(CodeOf(rig.replies.at(0).reply.status()), absl::StatusCode::kInvalidArgument)
      << "it would annul what was made into pages";
}

TEST(SegmentLogStart, ATruncationAboveItTakesSclBackNoFurther) {
  Rig rig = WithSixBatches();
  ASSERT_TRUE(rig.Collect());
  Rig annulled = rig.Clone();  // which forgot the VDL that the heartbeat told
  annulled.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 4, 5000)}), ReplyToken(1));
  annulled.Settle();
  EXPECT_EQ(annulled.scl(), Lsn(4));
  annulled.Send(Batch({Redo(5001, 4, {.prev_page = 3, .epoch = 2})}, {.epoch = 2}));
  annulled.Settle();
  EXPECT_EQ(annulled.scl(), Lsn(5001));
  EXPECT_EQ(ReadPage(annulled, 5001)->lsn, Lsn(5001));
}

}  // namespace
}  // namespace sextant::storage
