// A segment against a deliberately dumb model, over random days: records in any order and more than
// once, writers that succeed each other, syncs late or refused, crashes, rounds of collection. The
// model looks only at what is on the disk and recomputes everything from it; what pages must hold
// is RecordChain's business.
#include <algorithm>
#include <map>
#include <sstream>

#include "common/base/prng.h"
#include "common/testing/record_chain.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools

constexpr PgId kPg = kSegment.pg;
constexpr int kSteps = 400;

// Every record on the disk above the log start that no truncation on the disk annuls.
std::map<Lsn, log::RecordHeader> RecordsOnDisk(const Disk& disk) {
  std::map<Lsn, log::RecordHeader> records;
  for (const auto& [position, bytes] : disk.log) {
    const auto batch = log::DecodeBatch(*bytes);
    for (const auto& entry : batch->entries) {
      const log::RecordHeader& header = entry.record.header;
      if (header.lsn > disk.state.log_start &&
          !IsAnnulled(disk.state.truncations, header.lsn, header.epoch)) {
        records[header.lsn] = header;
      }
    }
  }
  return records;
}

Lsn ModelScl(const std::map<Lsn, log::RecordHeader>& records, Lsn scl) {
  for (const auto& [lsn, header] : records) {
    if (header.prev_pg_lsn != scl) break;
    scl = lsn;
  }
  return scl;
}

class RandomDay {
 public:
  explicit RandomDay(uint64_t seed)
      : prng_(seed), chain_(kSegment.volume, FreshState().descriptor.geometry) {}

  void Run() {
    for (int step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) {
      Step();
      Check();
      if (step % 10 == 0) CheckReload();
    }
    rig_.Settle();
    SendAll();
    rig_.Settle();
    EXPECT_EQ(rig_.scl(), chain_.PgLsnAt(kPg, chain_.last_lsn())) << "resending heals everything";
    Check();
  }

  std::string transcript() const { return transcript_.str(); }
  int reads_served() const { return reads_served_; }
  int collected() const { return collected_; }

 private:
  void Step() {
    switch (prng_.Below(12)) {
      case 0:
      case 1:
      case 2:  // NOLINT: a table of chances
        for (int i = 0; i < 3; ++i) chain_.RandomMtr(&prng_);
        return;
      case 3:
      case 4:
        return SendSome(chain_.RecordsOf(kPg));
      case 5:
        return SendAll();
      case 6:
        return SendSome(fenced_records_);  // a batch that was long on its way
      case 7:
        return Take();
      case 8:
        return SyncSome();
      case 9:
        return ReadSome();
      case 10:
        if (prng_.OneIn(4) && !rig_.unsynced.empty()) return rig_.RefuseUnsynced();
        if (prng_.OneIn(4)) return rig_.Crash();
        return Collect();
      default:
        if (prng_.OneIn(6)) SucceedWriter();
    }
  }

  // VDL may be anywhere at or above what was ever announced.
  Lsn SomeVdl() {
    if (prng_.OneIn(3)) {
      announced_vdl_ = Lsn(prng_.Between(announced_vdl_.value(), chain_.last_lsn().value()));
    }
    return announced_vdl_;
  }

  void SendSome(const std::vector<log::RedoRecord>& from) {
    std::vector<log::RedoRecord> some;
    const uint64_t share = prng_.Between(1, 4);
    for (const log::RedoRecord& record : from) {
      if (prng_.OneIn(share)) some.push_back(record);
    }
    Send(some);
  }
  void SendAll() { Send(chain_.RecordsOf(kPg)); }
  void Send(const std::vector<log::RedoRecord>& records) {
    // The writer's duty: every member hears of the epoch and all truncations before any batch.
    const protocol::SegmentStatus status = rig_.segment().Status();
    if (status.epoch != chain_.epoch() || status.truncations != truncations_) Tell();
    rig_.Send(chain_.BatchOf(kPg, records, SomeVdl(), pgmrpl_), prng_.Between(1, 3));
  }
  // Starts a round: the versions it makes are durable at once, the move when it is synced.
  void Collect() {
    if (prng_.OneIn(2)) pgmrpl_ = Lsn(prng_.Between(pgmrpl_.value(), announced_vdl_.value()));
    if (rig_.disk.state.epoch != chain_.epoch()) return;
    const Lsn held = Lsn(prng_.Between(0, announced_vdl_.value()));
    rig_.Send(Batch({}, {.epoch = chain_.epoch().value(),
                         .vdl = announced_vdl_.value(),
                         .pg_lsn_at_vdl = chain_.PgLsnAt(kPg, announced_vdl_).value(),
                         .pgmrpl = pgmrpl_.value(),
                         .held_by_all = held.value()}));
    const auto plan = rig_.segment().PlanCollect({.min_bytes = prng_.Below(400)});
    if (!plan.has_value()) return;
    ASSERT_LE(plan->through, std::min(pgmrpl_, announced_vdl_));
    rig_.MakeVersions(*plan);
    rig_.segment().MoveLogStart({plan->through, Lsn()}, ReplyToken(200));
    ++collected_;
  }
  void Tell() {
    rig_.segment().RaiseEpoch(Raise(chain_.epoch().value(), chain_.epoch().value(), truncations_),
                              ReplyToken(100));
  }

  void SucceedWriter() {
    const VolumeEpoch epoch = chain_.epoch().Next();
    const Lsn vdl = SomeVdl();
    const Lsn upper = chain_.last_lsn() + prng_.Between(1, 50);
    if (prng_.OneIn(2)) {  // fenced first, as recovery does
      rig_.segment().RaiseEpoch(Raise(epoch.value(), epoch.value()), ReplyToken(99));
    }
    for (const log::RedoRecord& record : chain_.RecordsOf(kPg, vdl)) {
      fenced_records_.push_back(record);
    }
    chain_.Truncate(vdl, upper, epoch);
    truncations_.push_back({.epoch = epoch, .vdl = vdl, .upper = upper});
    if (prng_.OneIn(2)) Tell();
  }

  void Take() {
    rig_.Take();
    for (const SegmentOutput::Ack& ack : rig_.acks) {
      transcript_ << "ack " << ack.to << " " << ack.ack.scl << " " << ack.ack.status << "\n";
      if (!ack.ack.status.ok()) {
        EXPECT_EQ(ack.ack.status.code(), absl::StatusCode::kResourceExhausted);
      }
    }
    for (const SegmentOutput::EpochReply& reply : rig_.replies) {
      transcript_ << "raise " << reply.to << " " << reply.reply.status() << "\n";
    }
    rig_.acks.clear();
    rig_.replies.clear();
  }
  void SyncSome() {
    for (uint64_t n = prng_.Below(3); n > 0 && !rig_.unsynced.empty(); --n) rig_.Sync();
  }

  // What must hold after every step: memory is what the disk says, no more and no less.
  void Check() {
    const auto records = RecordsOnDisk(rig_.disk);
    const protocol::SegmentStatus status = rig_.segment().Status();
    const Lsn scl = ModelScl(records, rig_.disk.state.log_start);
    ASSERT_EQ(status.scl, scl);
    ASSERT_EQ(status.records_ahead,
              static_cast<uint64_t>(std::distance(records.upper_bound(scl), records.end())));
    ASSERT_EQ(rig_.segment().state(), rig_.disk.state);
    ASSERT_FALSE(status.is_damaged);
    transcript_ << "scl " << scl << " vdl " << status.known_vdl << "\n";
    CheckLog(records, scl);
  }

  // A segment loaded from the disk is the one that wrote it.
  void CheckReload() {
    const protocol::SegmentStatus status = rig_.segment().Status();
    const std::unique_ptr<Segment> reloaded = Load(rig_.disk);
    ASSERT_EQ(reloaded->Status().scl, status.scl);
    ASSERT_EQ(reloaded->Status().records_ahead, status.records_ahead);
    ASSERT_EQ(reloaded->Status().log_bytes, status.log_bytes);
    ASSERT_FALSE(reloaded->Status().is_damaged);
  }

  void CheckLog(const std::map<Lsn, log::RecordHeader>& records, Lsn scl) {
    const auto plan = rig_.segment().PlanLogRead({.segment = kSegment,
                                                  .epoch = rig_.disk.state.epoch,
                                                  .after = rig_.disk.state.log_start,
                                                  .max_bytes = UINT64_MAX});
    if (!plan.ok()) return;  // promised a higher epoch meanwhile
    std::vector<Lsn> planned;
    for (const RecordLocation& at : plan->records) {
      ASSERT_EQ(rig_.ReadRecord(at).header, records.at(at.lsn));
      planned.push_back(at.lsn);
    }
    std::vector<Lsn> expected;
    for (const auto& [lsn, header] : records) {
      if (lsn <= scl) expected.push_back(lsn);
    }
    ASSERT_EQ(planned, expected);
  }

  void ReadSome() {
    protocol::ReadPagesRequest request{.segment = kSegment, .epoch = chain_.epoch()};
    request.read_point = Lsn(prng_.Between(0, chain_.last_lsn().value()));
    const Lsn pg_lsn = chain_.PgLsnAt(kPg, request.read_point);
    if (prng_.OneIn(2)) request.pg_lsn = pg_lsn;
    for (int i = 0; i < 4; ++i) {
      request.pages.push_back(PageNo(prng_.Between(kPagesPerPg, 2 * kPagesPerPg - 1)));
    }
    const bool knows_epoch = rig_.disk.state.epoch == chain_.epoch();
    std::vector<std::optional<page::PageImage>> bases;
    std::vector<Lsn> base_lsns;
    for (PageNo page : request.pages) {
      bases.push_back(rig_.disk.Page(page, request.read_point));
      base_lsns.push_back(bases.back() ? bases.back()->lsn : Lsn());
    }
    const auto plans = rig_.segment().PlanPageRead(request, base_lsns);
    transcript_ << "read " << request.read_point << " " << plans.status() << "\n";
    if (!plans.ok()) {
      EXPECT_FALSE(knows_epoch && request.pg_lsn.has_value() && rig_.scl() >= pg_lsn &&
                   request.read_point >= std::max(pgmrpl_, rig_.segment().log_start()));
      return;
    }
    // A fenced segment that lacks the truncation answers rightly only a reader who brings pg_lsn.
    if (rig_.disk.state.truncations != truncations_ && !request.pg_lsn.has_value()) return;
    ++reads_served_;
    EXPECT_GE(request.read_point, rig_.segment().read_floor());
    for (size_t i = 0; i < plans->size(); ++i) {
      CheckPage((*plans)[i], std::move(bases[i]), request.read_point);
    }
  }

  void CheckPage(const PageReadPlan& plan, std::optional<page::PageImage> base, Lsn read_point) {
    const auto image = rig_.Fold(plan, std::move(base));
    ASSERT_TRUE(image.ok()) << image.status();
    ASSERT_EQ(image->lsn, chain_.PageLsnAt(plan.page, read_point));
    ASSERT_EQ(image->bytes, chain_.PageAt(plan.page, read_point)) << "page " << plan.page;
  }

  Prng prng_;
  sextant::testing::RecordChain chain_;
  Rig rig_;
  Lsn announced_vdl_;
  Lsn pgmrpl_;
  std::vector<volume::Truncation> truncations_;
  std::vector<log::RedoRecord> fenced_records_;  // ascending: LSNs are never reused
  std::ostringstream transcript_;
  int reads_served_ = 0;
  int collected_ = 0;
};

TEST(SegmentModel, HoldsOverRandomDays) {
  int reads_served = 0, collected = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    RandomDay day(seed);
    day.Run();
    if (HasFailure()) return;
    reads_served += day.reads_served();
    collected += day.collected();
  }
  EXPECT_GT(reads_served, 200) << "days on which nothing is read show nothing";
  EXPECT_GT(collected, 100);
}

TEST(SegmentModel, EqualInputGivesEqualOutput) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    RandomDay one(seed), other(seed);
    one.Run();
    other.Run();
    EXPECT_EQ(one.transcript(), other.transcript());
  }
}

}  // namespace
}  // namespace sextant::storage
