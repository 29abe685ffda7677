// Unit tests of what recovery makes of a crashed writer's tail: AnalyzeTail against a dumb model
// over every small case, TailReader, WriteBack.
#include <set>

#include "compute-node/volume/tail_analysis.h"
#include "compute-node/volume/tail_reader.h"
#include "compute-node/volume/write_back.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// A log of dense LSNs 1..n: who is where, and which are CPLs.
struct Log {
  std::vector<uint32_t> pg;  // of LSN i + 1
  std::vector<bool> is_cpl;

  Lsn LastOf(uint32_t group, uint64_t through) const {
    for (uint64_t lsn = through; lsn > 0; --lsn) {
      if (pg[lsn - 1] == group) return Lsn(lsn);
    }
    return Lsn();
  }
  log::RecordHeader Header(uint64_t lsn) const {
    return {.lsn = Lsn(lsn),
            .prev_volume_lsn = Lsn(lsn - 1),
            .prev_pg_lsn = LastOf(pg[lsn - 1], lsn - 1),
            .is_cpl = is_cpl[lsn - 1]};
  }
};

// Every log of 6 records in 2 groups, every choice of CPLs, known VDL and SCLs.
TEST(AnalyzeTail, AgreesWithADumbModelOnEverySmallLog) {
  constexpr int kRecords = 6;
  int64_t cases = 0;
  for (uint32_t shape = 0; shape < (1u << (2 * kRecords)); ++shape) {
    Log log;
    for (int i = 0; i < kRecords; ++i) {
      log.pg.push_back(shape >> i & 1);
      log.is_cpl.push_back(shape >> (kRecords + i) & 1);
    }
    for (uint64_t known = 0; known <= kRecords; ++known) {
      if (known > 0 && !log.is_cpl[known - 1]) continue;
      for (uint64_t scl0 = known; scl0 <= kRecords; ++scl0) {
        for (uint64_t scl1 = known; scl1 <= kRecords; ++scl1) {
          const uint64_t through[2] = {scl0, scl1};
          std::vector<PgTail> tails(2);
          for (uint32_t group = 0; group < 2; ++group) {
            tails[group].scl = log.LastOf(group, through[group]);
            for (uint64_t lsn = known + 1; lsn <= through[group]; ++lsn) {
              if (log.pg[lsn - 1] == group) tails[group].headers.push_back(log.Header(lsn));
            }
          }
          uint64_t vcl = known, vdl = known;
          for (uint64_t lsn = known + 1; lsn <= kRecords; ++lsn) {
            if (lsn > through[log.pg[lsn - 1]]) break;
            vcl = lsn;
            if (log.is_cpl[lsn - 1]) vdl = lsn;
          }
          const TailAnalysis found = AnalyzeTail(Lsn(known), tails);
          ASSERT_EQ(found.vcl, Lsn(vcl)) << shape;
          ASSERT_EQ(found.vdl, Lsn(vdl)) << shape;
          for (uint32_t group = 0; group < 2; ++group) {
            ASSERT_EQ(found.at_vdl[group], log.LastOf(group, vdl)) << shape;
            ASSERT_EQ(found.at_known_vdl[group], log.LastOf(group, known)) << shape;
          }
          ++cases;
        }
      }
    }
  }
  EXPECT_GT(cases, 100'000);
}

TEST(AnalyzeTail, AnEmptyVolumeIsDurableThroughNothing) {
  const TailAnalysis found = AnalyzeTail(Lsn(), std::vector<PgTail>(3));
  EXPECT_EQ(found.vdl, Lsn());
  EXPECT_THAT(found.at_vdl, ElementsAre(Lsn(), Lsn(), Lsn()));
}

log::RedoRecord Redo(uint64_t lsn, uint64_t prev_pg) {
  return {.header = {.lsn = Lsn(lsn), .prev_volume_lsn = Lsn(lsn - 1), .prev_pg_lsn = Lsn(prev_pg)},
          .payload = "x"};
}
protocol::ReadLogReply Reply(std::vector<log::RedoRecord> records) { return {.records = records}; }

TEST(TailReader, ReadsFromTheOneThatHoldsMostAndChecksTheChain) {
  TailReader tail(Lsn(10));
  tail.AddMember(0, Lsn(8), false);
  tail.AddMember(1, Lsn(12), false);
  EXPECT_FALSE(tail.IsDone());
  tail.AddMember(2, Lsn(14), false);
  ASSERT_TRUE(tail.Next().has_value());
  EXPECT_EQ(tail.Next()->slot, 2);
  EXPECT_EQ(tail.Next()->after, Lsn(10));
  EXPECT_EQ(tail.Next()->through, Lsn(14));
  tail.Read(2, Reply({Redo(12, 8)}));
  EXPECT_EQ(tail.cursor(), Lsn(12));
  tail.Read(2, Reply({Redo(14, 13)}));  // of something else
  EXPECT_EQ(tail.cursor(), Lsn(12));
  tail.Read(2, Reply({Redo(12, 8), Redo(14, 12)}));  // late and repeated in part
  EXPECT_TRUE(tail.IsDone());
  const PgTail read = tail.Take();
  EXPECT_EQ(read.scl, Lsn(14));
  EXPECT_THAT(read.headers, SizeIs(2));
}

TEST(TailReader, AnIdleGroupNeedsNoRead) {
  TailReader tail(Lsn(10));
  for (quorum::Slot slot = 0; slot < 3; ++slot) tail.AddMember(slot, Lsn(4), false);
  EXPECT_TRUE(tail.IsDone());
  EXPECT_EQ(tail.Take().scl, Lsn(4));
}

TEST(TailReader, ADamagedMemberIsNoWitness) {
  TailReader tail(Lsn(10));
  tail.AddMember(0, Lsn(10), true);
  tail.AddMember(1, Lsn(10), false);
  tail.AddMember(2, Lsn(10), false);
  EXPECT_FALSE(tail.HasWitnesses());
  EXPECT_FALSE(tail.IsDone());
  tail.AddMember(3, Lsn(12), false);
  EXPECT_TRUE(tail.HasWitnesses());
  EXPECT_EQ(tail.Next()->slot, 3);
  tail.Damaged(3);
  EXPECT_FALSE(tail.IsDone()) << "what it cannot show may have been acknowledged";
  tail.AddMember(4, Lsn(10), false);
  EXPECT_TRUE(tail.IsDone()) << "three undamaged members lack it: it was never durable";
}

TEST(TailReader, AMemberThatFallsSilentIsDoneWithoutIfAReadQuorumIsLeft) {
  TailReader tail(Lsn(10));
  tail.AddMember(0, Lsn(10), false);
  tail.AddMember(1, Lsn(10), false);
  tail.AddMember(2, Lsn(12), false);
  for (int i = 0; i < 5; ++i) tail.Failed(2);
  EXPECT_FALSE(tail.IsDone()) << "it is one of the three";
  tail.AddMember(3, Lsn(10), false);
  EXPECT_TRUE(tail.IsDone());
}

log::BatchHeader Header() {
  return {.volume = VolumeId(7), .pg = PgId(0), .epoch = VolumeEpoch(3)};
}

TEST(WriteBack, BringsTheTailToAWriteQuorum) {
  WriteBack back(Lsn(14), Header());
  back.AddMember(0, Lsn(14));
  back.AddMember(1, Lsn(20));
  back.AddMember(2, Lsn(12));
  back.AddMember(3, Lsn(8));
  EXPECT_FALSE(back.IsDone());
  ASSERT_TRUE(back.Next().has_value());
  EXPECT_EQ(back.Next()->slot, 1);
  EXPECT_EQ(back.Next()->after, Lsn(12));
  EXPECT_EQ(back.Next()->through, Lsn(14));
  EXPECT_TRUE(back.Read(Reply({Redo(14, 12), Redo(20, 14)})));
  ASSERT_THAT(back.under_way(), SizeIs(1));
  EXPECT_EQ(back.under_way().at(2).back().last_lsn, Lsn(14)) << "nothing above the target";

  EXPECT_EQ(back.Next()->after, Lsn(8));
  EXPECT_FALSE(back.Read(Reply({Redo(14, 12)}))) << "not what member 3 needs first";
  EXPECT_TRUE(back.Read(Reply({Redo(12, 8)})));
  back.Acked(3, Lsn(12));
  EXPECT_TRUE(back.Read(Reply({Redo(12, 8), Redo(14, 12)})));
  back.Acked(3, Lsn(14));
  EXPECT_FALSE(back.IsDone());
  back.Acked(2, Lsn(14));
  EXPECT_TRUE(back.IsDone());
  EXPECT_FALSE(back.Next().has_value());
}

TEST(WriteBack, DamageIsReadElsewhereOrStops) {
  WriteBack back(Lsn(14), Header());
  back.AddMember(0, Lsn(14));
  back.AddMember(1, Lsn(14));
  back.AddMember(2, Lsn(12));
  back.AddMember(3, Lsn(12));
  EXPECT_FALSE(back.IsStuck());
  back.SourceDamaged(back.Next()->slot);
  EXPECT_FALSE(back.IsStuck());
  EXPECT_EQ(back.Next()->slot, 1);
  back.SourceDamaged(1);
  EXPECT_TRUE(back.IsStuck());
  EXPECT_EQ(back.stuck_after(), Lsn(12));
  back.AddMember(4, Lsn(14));
  EXPECT_EQ(back.Next()->slot, 4);
  EXPECT_FALSE(back.IsStuck());
}

TEST(WriteBack, WhatOnlyPagesHoldIsLeftToThePeers) {
  WriteBack back(Lsn(14), Header());
  back.AddMember(0, Lsn(14), Lsn(10));
  back.AddMember(1, Lsn(14), Lsn(8));
  back.AddMember(2, Lsn(8), Lsn(8));
  back.AddMember(3, Lsn(4));  // away for long: nobody keeps what follows as log
  EXPECT_EQ(back.Next()->slot, 1) << "its log goes back far enough for member 2";
  EXPECT_EQ(back.Next()->after, Lsn(8));
  back.SourceCollected(1);
  EXPECT_FALSE(back.Next().has_value());
  EXPECT_TRUE(back.IsLeftToPeers(2));
  EXPECT_TRUE(back.IsLeftToPeers(3));
  EXPECT_FALSE(back.IsLeftToPeers(0));
  EXPECT_FALSE(back.IsStuck()) << "nothing is damaged";

  back.AddMember(3, Lsn(12), Lsn(12));  // rebuilt meanwhile
  EXPECT_EQ(back.Next()->after, Lsn(12));
  EXPECT_TRUE(back.Read(Reply({Redo(14, 12)})));
  back.Acked(3, Lsn(14));
  back.AddMember(4, Lsn(14));
  EXPECT_TRUE(back.IsDone()) << "without member 2";
}

}  // namespace
}  // namespace sextant::compute
