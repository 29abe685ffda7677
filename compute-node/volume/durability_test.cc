// Unit tests of what makes a commit durable and lets go of it: AckTracker, DurabilityTracker,
// CommitQueue, ReadPoints, PgTails.
#include <algorithm>

#include "common/base/prng.h"
#include "compute-node/volume/ack_tracker.h"
#include "compute-node/volume/commit_queue.h"
#include "compute-node/volume/durability_tracker.h"
#include "compute-node/volume/pg_tails.h"
#include "compute-node/volume/read_points.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

AckTracker Acks() { return AckTracker(quorum::QuorumSets(), Lsn(10)); }

TEST(AckTracker, PgclRisesWithTheFourthMember) {
  AckTracker acks = Acks();
  EXPECT_FALSE(acks.Acked(0, Lsn(15)));
  EXPECT_FALSE(acks.Acked(1, Lsn(14)));
  EXPECT_FALSE(acks.Acked(2, Lsn(13)));
  EXPECT_TRUE(acks.Acked(3, Lsn(12)));
  EXPECT_EQ(acks.pgcl(), Lsn(12));
  EXPECT_TRUE(acks.Acked(4, Lsn(20)));
  EXPECT_EQ(acks.pgcl(), Lsn(13));
}

TEST(AckTracker, LateAcknowledgementsAreIgnored) {
  AckTracker acks = Acks();
  acks.Acked(0, Lsn(15));
  EXPECT_FALSE(acks.Acked(0, Lsn(11)));
  EXPECT_EQ(acks.scl(0), Lsn(15));
}

TEST(AckTracker, AMemberThatLostWhatItAcknowledgedDoesNotCountUntilItHasItAgain) {
  AckTracker acks = Acks();
  for (quorum::Slot slot = 0; slot < 4; ++slot) acks.Acked(slot, Lsn(20));
  ASSERT_EQ(acks.pgcl(), Lsn(20));
  EXPECT_FALSE(acks.Connected(3, Lsn(12)));
  EXPECT_FALSE(acks.IsCounted(3));
  EXPECT_EQ(acks.pgcl(), Lsn(20)) << "PGCL never falls";
  for (quorum::Slot slot = 0; slot < 3; ++slot) acks.Acked(slot, Lsn(30));
  EXPECT_FALSE(acks.Acked(3, Lsn(19)));
  EXPECT_EQ(acks.pgcl(), Lsn(20));
  EXPECT_TRUE(acks.Acked(3, Lsn(25)));
  EXPECT_TRUE(acks.IsCounted(3));
  EXPECT_EQ(acks.pgcl(), Lsn(25));
}

TEST(AckTracker, WhatADiscountedMemberHeldIsNotCounted) {
  AckTracker acks = Acks();
  acks.Acked(0, Lsn(20));
  acks.Discount(0);
  for (quorum::Slot slot = 1; slot < 4; ++slot) EXPECT_FALSE(acks.Acked(slot, Lsn(20)));
  EXPECT_TRUE(acks.Acked(4, Lsn(18)));
  EXPECT_EQ(acks.pgcl(), Lsn(18));
}

std::vector<PgRun> Rise(DurabilityTracker* tracker, uint32_t pg, uint64_t pgcl) {
  std::vector<PgRun> durable;
  tracker->PgclRose(PgId(pg), Lsn(pgcl), &durable);
  return durable;
}

TEST(DurabilityTracker, VdlWaitsForTheWholeMtrInEveryGroup) {
  DurabilityTracker tracker(Lsn(10), {Lsn(10), Lsn(8)});
  tracker.Append({{PgId(0), Lsn(12)}, {PgId(1), Lsn(13)}});
  tracker.Append({{PgId(0), Lsn(14)}});
  EXPECT_THAT(Rise(&tracker, 0, 14), IsEmpty());
  EXPECT_EQ(tracker.vcl(), Lsn(12));
  EXPECT_EQ(tracker.vdl(), Lsn(10));
  EXPECT_THAT(Rise(&tracker, 1, 13), ElementsAre(PgRun{PgId(0), Lsn(12)}, PgRun{PgId(1), Lsn(13)},
                                                 PgRun{PgId(0), Lsn(14)}));
  EXPECT_EQ(tracker.vcl(), Lsn(14));
  EXPECT_EQ(tracker.vdl(), Lsn(14));
}

TEST(DurabilityTracker, VclMovesInsideAnMtrAndVdlDoesNot) {
  DurabilityTracker tracker(Lsn(10), {Lsn(10)});
  tracker.Append({{PgId(0), Lsn(1020)}});  // the first LSNs of an epoch lie above a gap
  EXPECT_THAT(Rise(&tracker, 0, 1015), IsEmpty());
  EXPECT_EQ(tracker.vcl(), Lsn(1015));
  EXPECT_EQ(tracker.vdl(), Lsn(10));
  EXPECT_THAT(Rise(&tracker, 0, 1020), SizeIs(1));
  EXPECT_EQ(tracker.vdl(), Lsn(1020));
}

// Against the definition, by walking every record.
TEST(DurabilityTracker, AgreesWithADumbModel) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Prng rng(seed);
    constexpr uint32_t kGroups = 3;
    DurabilityTracker tracker(Lsn(5), {Lsn(5), Lsn(3), Lsn(0)});
    std::vector<Lsn> pgcl = {Lsn(5), Lsn(3), Lsn(0)};
    struct Record {
      Lsn lsn;
      uint32_t pg;
      bool is_cpl;
    };
    std::vector<Record> records;
    uint64_t next = 5 + rng.Between(1, 100);
    std::vector<Lsn> tails = pgcl;
    for (int step = 0; step < 60; ++step) {
      if (rng.OneIn(2)) {
        PgRuns runs;
        const uint64_t count = rng.Between(1, 5);
        for (uint64_t i = 0; i < count; ++i, ++next) {
          const auto pg = static_cast<uint32_t>(rng.Below(kGroups));
          records.push_back({Lsn(next), pg, i + 1 == count});
          if (runs.empty() || runs.back().pg != PgId(pg)) runs.push_back({PgId(pg), Lsn()});
          runs.back().last = Lsn(next);
        }
        tracker.Append(runs);
      } else if (!records.empty()) {
        const Record& to = records[rng.Below(records.size())];
        if (to.lsn > pgcl[to.pg]) {
          pgcl[to.pg] = to.lsn;
          for (const PgRun& run : Rise(&tracker, to.pg, to.lsn.value())) {
            EXPECT_GT(run.last, tails[run.pg.value()]);
            tails[run.pg.value()] = run.last;
          }
        }
      }
      Lsn vcl(5), vdl(5);
      std::vector<Lsn> model_tails = {Lsn(5), Lsn(3), Lsn(0)};
      for (const Record& record : records) {
        if (record.lsn > pgcl[record.pg]) break;
        vcl = record.lsn;
        if (record.is_cpl) vdl = record.lsn;
      }
      for (const Record& record : records) {
        if (record.lsn <= vdl) model_tails[record.pg] = record.lsn;
      }
      ASSERT_EQ(tracker.vcl(), vcl) << "seed " << seed;
      ASSERT_EQ(tracker.vdl(), vdl) << "seed " << seed;
      ASSERT_EQ(tails, model_tails) << "seed " << seed;
    }
  }
}

std::vector<uint64_t> Tokens(const std::vector<WaitRelease>& released) {
  std::vector<uint64_t> tokens;
  for (const WaitRelease& release : released) tokens.push_back(release.wait.value());
  return tokens;
}

TEST(CommitQueue, ReleasesInLsnOrderInOnePass) {
  CommitQueue queue(10);
  for (uint64_t token : {30, 10, 20, 11}) {
    ASSERT_TRUE(queue.Park(Lsn(token / 10 * 10), WaitToken(token), Instant::Max()).ok());
  }
  std::vector<WaitRelease> released;
  queue.ReleaseThrough(Lsn(20), &released);
  EXPECT_THAT(Tokens(released), ElementsAre(10, 11, 20));
  for (const WaitRelease& release : released) EXPECT_TRUE(release.status.ok());
  EXPECT_EQ(queue.size(), 1u);
}

TEST(CommitQueue, ADeadlineSaysThatTheOutcomeIsUnknown) {
  CommitQueue queue(10);
  ASSERT_TRUE(queue.Park(Lsn(5), WaitToken(1), Instant::FromNanos(100)).ok());
  ASSERT_TRUE(queue.Park(Lsn(6), WaitToken(2), Instant::FromNanos(50)).ok());
  std::vector<WaitRelease> released;
  queue.Expire(Instant::FromNanos(49), &released);
  EXPECT_THAT(released, IsEmpty());
  queue.Expire(Instant::FromNanos(50), &released);
  ASSERT_THAT(Tokens(released), ElementsAre(2));
  EXPECT_EQ(released[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(released[0].status.message()), HasSubstr("outcome unknown"));
  queue.ReleaseThrough(Lsn(6), &released);
  EXPECT_THAT(Tokens(released), ElementsAre(2, 1)) << "each wait is released once";
}

TEST(CommitQueue, IsBounded) {
  CommitQueue queue(1);
  ASSERT_TRUE(queue.Park(Lsn(5), WaitToken(1), Instant::Max()).ok());
  EXPECT_EQ(queue.Park(Lsn(6), WaitToken(2), Instant::Max()).code(),
            absl::StatusCode::kResourceExhausted);
  std::vector<WaitRelease> released;
  queue.ReleaseAll(absl::FailedPreconditionError("fenced"), &released);
  EXPECT_THAT(Tokens(released), ElementsAre(1));
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_TRUE(queue.Park(Lsn(6), WaitToken(2), Instant::Max()).ok());
}

TEST(ReadPoints, TheLowestOpenPointHoldsPgmrpl) {
  ReadPoints points(Lsn(10), Lsn(4));
  EXPECT_EQ(points.pgmrpl(), Lsn(4));
  points.Open(Lsn(10));
  points.Open(Lsn(12));  // above VDL: the writer reads its own head
  points.Open(Lsn(12));
  points.VdlRose(Lsn(20));
  EXPECT_EQ(points.pgmrpl(), Lsn(10));
  points.Close(Lsn(10));
  EXPECT_EQ(points.pgmrpl(), Lsn(12));
  points.Close(Lsn(12));
  EXPECT_EQ(points.pgmrpl(), Lsn(12));
  points.Open(Lsn(5));  // too late: it holds nothing
  points.Close(Lsn(12));
  EXPECT_EQ(points.pgmrpl(), Lsn(12));
  points.Close(Lsn(5));
  EXPECT_EQ(points.pgmrpl(), Lsn(20));
}

TEST(PgTails, SnapshotsStayAsTheyWere) {
  PgTails tails({Lsn(1), Lsn(2)});
  const auto before = tails.Snapshot();
  EXPECT_EQ(before, tails.Snapshot()) << "shared while unchanged";
  tails.Advance(PgId(1), Lsn(7));
  EXPECT_THAT(*before, ElementsAre(Lsn(1), Lsn(2)));
  EXPECT_THAT(*tails.Snapshot(), ElementsAre(Lsn(1), Lsn(7)));
  EXPECT_EQ(tails.Get(PgId(1)), Lsn(7));
}

}  // namespace
}  // namespace sextant::compute
