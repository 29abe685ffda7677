// Stories of one segment: restart, and a disk that lost or damaged something. segment.h.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Positions 1, 2, 3 hold LSNs 1, 2, 3.
Rig WithThreeBatches() {
  Rig rig;
  for (uint64_t lsn = 1; lsn <= 3; ++lsn) {
    rig.Send(Batch({Redo(lsn, lsn - 1, {.prev_page = lsn - 1})},
                   {.vdl = lsn - 1, .pg_lsn_at_vdl = lsn - 1}));
    rig.Settle();
  }
  return rig;
}

void Damage(Rig& rig, uint64_t position) {
  std::string bytes = *rig.disk.log.at(LogPosition(position));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  rig.disk.log[LogPosition(position)] = std::make_shared<const std::string>(bytes);
}

TEST(SegmentRestart, ComesBackAsItWas) {
  Rig rig = WithThreeBatches();
  const protocol::SegmentStatus before = rig.segment().Status();
  rig.Crash();
  const protocol::SegmentStatus after = rig.segment().Status();
  EXPECT_EQ(after.scl, before.scl);
  EXPECT_EQ(after.known_vdl, before.known_vdl);
  EXPECT_EQ(after.pg_lsn_at_vdl, before.pg_lsn_at_vdl);
  EXPECT_EQ(after.log_bytes, before.log_bytes);
  EXPECT_FALSE(after.is_damaged);

  rig.Send(Batch({Redo(4, 3, {.prev_page = 3})}));
  rig.Settle();
  EXPECT_EQ(rig.disk.log.rbegin()->first, LogPosition(4)) << "positions go on";
}

TEST(SegmentRestart, WhatWasNotSyncedIsGoneAndWasNeverAcknowledged) {
  Rig rig = WithThreeBatches();
  rig.Send(Batch({Redo(4, 3, {.prev_page = 3})}));
  rig.Take();
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_FALSE(rig.segment().Status().is_damaged);
}

TEST(SegmentRestart, ADamagedBatchLeavesAGapThatIsNotAbsence) {
  Rig rig = WithThreeBatches();
  Damage(rig, 2);
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(1));
  EXPECT_TRUE(rig.segment().Status().is_damaged);
  EXPECT_EQ(rig.segment().Status().records_ahead, 1u);
  EXPECT_TRUE(rig.segment().PlanPageRead(rig.ReadRequest(1)).ok()) << "below the gap it serves";
  EXPECT_FALSE(rig.segment().PlanPageRead(rig.ReadRequest(3)).ok());

  rig.Send(Batch({Redo(2, 1, {.prev_page = 1})}));  // repaired by sending it again
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_EQ(rig.disk.log.rbegin()->first, LogPosition(4));
  EXPECT_FALSE(rig.segment().Status().is_damaged) << "it lacks nothing any more";
  rig.Crash();
  EXPECT_FALSE(rig.segment().Status().is_damaged) << "nor after the next start, though 2 is";
  auto plans = rig.segment().PlanPageRead(rig.ReadRequest(3));
  ASSERT_TRUE(plans.ok());
  EXPECT_TRUE(rig.Fold((*plans)[0]).ok());
}

TEST(SegmentRestart, AMissingBatchIsDamage) {
  for (uint64_t missing = 1; missing <= 3; ++missing) {
    Rig rig = WithThreeBatches();
    rig.disk.log.erase(LogPosition(missing));
    rig.Crash();
    EXPECT_EQ(rig.scl(), Lsn(missing - 1));
    EXPECT_TRUE(rig.segment().Status().is_damaged) << "position " << missing;
    rig.Send(Batch({Redo(9, 3, {.prev_page = 3})}));
    rig.Settle();
    EXPECT_EQ(rig.disk.log.rbegin()->first, LogPosition(4)) << "no position is given twice";
  }
}

TEST(SegmentRestart, DamageAtTheVeryEndIsDamageUntilTheVolumeIsKnownToHaveGoneOn) {
  Rig rig = WithThreeBatches();
  Damage(rig, 3);  // lsn 3 was acknowledged: nobody may conclude that it never was
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(2));
  EXPECT_TRUE(rig.segment().Status().is_damaged);

  Rig annulled = rig.Clone();
  annulled.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 2, 100)}), ReplyToken(1));
  annulled.Settle();
  EXPECT_FALSE(annulled.segment().Status().is_damaged) << "what it lost counts no more";

  rig.Send(Batch({Redo(3, 2, {.prev_page = 2})}));
  rig.Settle();
  EXPECT_FALSE(rig.segment().Status().is_damaged);
}

TEST(SegmentRestart, WhatWasLostAheadOfAGapIsMissedUntilTheSegmentIsCompleteBeyondIt) {
  Rig rig = WithThreeBatches();
  rig.Send(Batch({Redo(7, 6, {.prev_page = 6})}));  // 6 never came
  rig.Settle();
  Damage(rig, 4);
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(3));
  EXPECT_TRUE(rig.segment().Status().is_damaged);
  rig.Send(Batch({}, {.vdl = 9, .pg_lsn_at_vdl = 3}));  // this group has nothing up to 9 after all
  EXPECT_FALSE(rig.segment().Status().is_damaged);
}

TEST(SegmentRestart, ALostHighWaterMarkIsDamage) {
  Rig rig = WithThreeBatches();
  rig.disk.high_water.reset();
  rig.Crash();
  EXPECT_TRUE(rig.segment().Status().is_damaged);
  rig.Send(Batch({Redo(4, 3, {.prev_page = 3})}, {.vdl = 3, .pg_lsn_at_vdl = 3}));
  rig.Settle();
  rig.Crash();
  EXPECT_TRUE(rig.segment().Status().is_damaged) << "nobody knows what else there was";
}

TEST(SegmentRestart, ABatchOfAnotherSegmentIsDamage) {
  Rig rig = WithThreeBatches();
  log::BatchBuilder builder(kSegment.volume, PgId(2));
  const log::RedoRecord record = Redo(2, 1, {.page = PageNo(20)});
  builder.Add(record.header, record.payload);
  rig.disk.log[LogPosition(2)] = builder.Seal({.epoch = VolumeEpoch(1)}).bytes;
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(1));
  EXPECT_TRUE(rig.segment().Status().is_damaged);
}

TEST(SegmentRestart, ATruncationLearnedAfterTheLastAppendIsNoDamage) {
  Rig rig = WithThreeBatches();
  rig.Send(Batch({Redo(4, 3, {.prev_page = 3})}));  // the mark now says scl 3
  rig.Settle();
  rig.segment().RaiseEpoch(Raise(2, 20, {Cut(2, 2, 100)}), ReplyToken(1));
  rig.Settle();
  EXPECT_EQ(rig.scl(), Lsn(2));
  rig.Crash();
  EXPECT_EQ(rig.scl(), Lsn(2));
  EXPECT_FALSE(rig.segment().Status().is_damaged);
}

}  // namespace
}  // namespace sextant::storage
