// Random days of a volume: writers that recover, write, lose links and nodes, are paused, die and
// are succeeded, over real segments (sim_testing.h). Checked: nothing acknowledged is ever lost,
// VDL never falls from one epoch to the next, what was cut off never comes back, one epoch opens
// for one claimant, no LSN is given out twice, mini-transactions survive whole or not at all, the
// volume, which grows as it is written to, never shrinks, and nobody is told that he still is the
// writer when another one had opened before he asked.
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "common/base/text.h"
#include "compute-node/volume/sim_claimant_testing.h"
#include "compute-node/volume/sim_history_testing.h"
#include "compute-node/volume/sim_testing.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using testing::Claimant;
using testing::ClaimantOptions;
using testing::History;
using testing::kPagesPerPg;
using testing::SimCluster;

ClaimantOptions RandomOptions(Prng* rng) {
  const uint64_t lal = rng->OneIn(2) ? rng->Between(8, 60) : 10'000;
  ClaimantOptions options{
      .lal = lal,
      .writer = {.max_unacked_bytes = 1ull << rng->Between(10, 20),
                 .max_retained_bytes = 1ull << rng->Between(11, 22),
                 .max_member_unacked_bytes = 1ull << rng->Between(8, 20),
                 .max_batches_in_flight = static_cast<int>(rng->Between(1, 3)),
                 .max_batch_bytes = rng->Between(1, 2000),
                 .heartbeat_interval = absl::Milliseconds(20),
                 .retry_interval = absl::Milliseconds(30),
                 .growth = {.max_volume_bytes = 512 * kPagesPerPg * rng->Between(1, 12),
                            .max_groups_per_step = static_cast<uint32_t>(rng->Between(1, 3)),
                            .retry_interval = absl::Milliseconds(30)}}};
  options.writer.min_overlap_bytes = options.writer.max_batch_bytes / 4;
  return options;
}

class Day {
 public:
  explicit Day(uint64_t seed)
      : cluster_(seed, static_cast<uint32_t>(1 + seed % 3)),
        options_(RandomOptions(&cluster_.rng)) {
    auto chance = [this](uint64_t low) {
      return cluster_.rng.OneIn(2) ? 0 : cluster_.rng.Between(low, 10 * low);
    };
    cluster_.faults = {.lose_one_in = chance(5),
                       .duplicate_one_in = chance(5),
                       .break_stream_one_in = chance(50),
                       .damage_one_in = chance(50)};
  }

  void Run() {
    for (int hour = 0; hour < 12; ++hour) {
      Meddle();
      cluster_.RunFor(absl::Milliseconds(cluster_.rng.Between(1, 120)));
      if (::testing::Test::HasFailure()) return;
    }
    Evening();
    CheckLogs();
  }
  const History& history() const { return history_; }

 private:
  std::unique_ptr<Claimant> NewClaimant() {
    auto claimant =
        std::make_unique<Claimant>(&cluster_, &history_, WriterId(next_writer_++), options_);
    if (!is_evening_ && cluster_.rng.OneIn(2)) {
      const int first = static_cast<int>(cluster_.rng.Below(quorum::kMembers));
      claimant->CutOff({first, static_cast<int>(cluster_.rng.Below(quorum::kMembers))});
    }
    claimant->Start();
    return claimant;
  }

  void Meddle() {
    std::erase_if(claimants_, [](const auto& claimant) { return claimant->is_over(); });
    if (!claimants_.empty() && cluster_.rng.OneIn(3)) {
      claimants_.erase(claimants_.begin() + cluster_.rng.Below(claimants_.size()));
    }
    if (!claimants_.empty() && cluster_.rng.OneIn(3)) {
      claimants_[cluster_.rng.Below(claimants_.size())]->Pause(
          absl::Milliseconds(cluster_.rng.Between(10, 150)));
    }
    if (claimants_.empty() || (claimants_.size() < 3 && cluster_.rng.OneIn(3))) {
      claimants_.push_back(NewClaimant());
    }
    const int node = static_cast<int>(cluster_.rng.Below(quorum::kMembers));
    if (!cluster_.IsUp(node)) {
      cluster_.Restart(node);
    } else if (cluster_.rng.OneIn(2)) {
      cluster_.Crash(node);
      if (cluster_.rng.OneIn(2)) cluster_.Restart(node);
    }
  }

  // Faults end: a last claimant must open, and commit.
  void Evening() {
    is_evening_ = true;
    claimants_.clear();
    cluster_.faults = {};
    for (int node = 0; node < quorum::kMembers; ++node) cluster_.Restart(node);
    last_ = NewClaimant();
    ASSERT_TRUE(cluster_.RunUntil([this] { return last_->is_open(); }, absl::Seconds(20)))
        << last_->recovery().Describe();
    ASSERT_TRUE(cluster_.RunUntil([this] { return last_->acked() >= 5; }, absl::Seconds(5)));
    last_->is_writing = false;
    ASSERT_TRUE(cluster_.RunUntil(
        [this] { return last_->writer().vdl() == last_->writer().head(); }, absl::Seconds(5)));
    // What members still lack they get from the writer or from each other.
    ASSERT_TRUE(cluster_.RunUntil([this] { return EveryMemberIsWhole(); }, absl::Seconds(60)));
    // Idle: heartbeats tell the last VDL, then it goes quiet.
    cluster_.RunFor(absl::Seconds(1));
    const uint64_t heartbeats = last_->writer().counters().heartbeats;
    cluster_.RunFor(absl::Seconds(1));
    EXPECT_EQ(last_->writer().counters().heartbeats, heartbeats);
  }

  bool EveryMemberIsWhole() const {
    const WriterProgress progress = last_->writer().Progress();
    if (!progress.growth.empty()) return false;
    for (uint32_t pg = 0; pg < progress.pgs.size(); ++pg) {
      for (size_t slot = 0; slot < progress.pgs[pg].members.size(); ++slot) {
        if (last_->lost().contains({PgId(pg), static_cast<quorum::Slot>(slot)})) continue;
        const MemberProgress& member = progress.pgs[pg].members[slot];
        const bool is_whole = member.scl == progress.pgs[pg].last_lsn;
        if (member.state != MemberState::kStreaming || !is_whole) return false;
      }
    }
    return true;
  }

  void CheckLogs() {
    if (::testing::Test::HasFatalFailure()) return;
    const Lsn vdl = last_->writer().vdl();
    history_.added_groups = last_->writer().geometry().epoch.value() - 1;
    std::map<Lsn, int> copies;
    for (uint32_t pg = 0; pg < last_->writer().geometry().pg_count; ++pg) {
      const Lsn tail = last_->writer().DurableTails()->at(pg);
      int whole = 0;
      for (int node = 0; node < quorum::kMembers; ++node) {
        if (!cluster_.HasSegment(node, PgId(pg))) {
          EXPECT_TRUE(last_->lost().contains({PgId(pg), static_cast<quorum::Slot>(node)}));
          ++whole;
          continue;
        }
        const std::vector<log::RedoRecord> records = cluster_.ReadAll(node, PgId(pg));
        whole += !records.empty() && records.back().header.lsn == tail;
        for (const log::RedoRecord& record : records) CheckRecord(record, PgId(pg), node, &copies);
        EXPECT_EQ(cluster_.segment(node, PgId(pg)).Status().is_damaged, false);
      }
      EXPECT_TRUE(whole == quorum::kMembers || tail == Lsn()) << "pg " << pg;
    }
    std::map<Lsn, std::pair<int, int>> mtrs;  // records kept, records appended
    for (const auto& [lsn, record] : history_.appended) {
      ++mtrs[record.mtr].second;
      if (lsn > vdl || history_.IsAnnulled(lsn, record)) continue;
      ++mtrs[record.mtr].first;
      EXPECT_GE(copies[lsn], quorum::kWriteQuorum) << "LSN " << lsn;
    }
    for (const auto& [cpl, counts] : mtrs) {
      EXPECT_TRUE(counts.first == 0 || counts.first == counts.second) << "half of " << cpl;
      EXPECT_FALSE(history_.acked.contains(cpl) && counts.first == 0) << "lost commit " << cpl;
    }
  }

  void CheckRecord(const log::RedoRecord& record, PgId pg, int node, std::map<Lsn, int>* copies) {
    const Lsn lsn = record.header.lsn;
    const auto known = history_.appended.find(lsn);
    ASSERT_NE(known, history_.appended.end()) << lsn;
    EXPECT_EQ(known->second.payload, record.payload) << lsn;
    EXPECT_EQ(known->second.pg, pg) << lsn;
    EXPECT_FALSE(history_.IsAnnulled(lsn, known->second))
        << "LSN " << lsn << " came back on node " << node;
    ++(*copies)[lsn];
  }

  SimCluster cluster_;
  ClaimantOptions options_;
  History history_;
  std::vector<std::unique_ptr<Claimant>> claimants_;
  std::unique_ptr<Claimant> last_;
  bool is_evening_ = false;
  uint64_t next_writer_ = 1;
};

TEST(VolumeSim, ManyDays) {
  const char* only = std::getenv("SEXTANT_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const char* days = std::getenv("SEXTANT_DAYS");
  const uint64_t many = days != nullptr ? std::strtoull(days, nullptr, 10) : 400;
  const uint64_t count = only != nullptr ? 1 : many;
  uint64_t acked = 0, recoveries = 0, annulled = 0, added_groups = 0, proofs = 0, disproofs = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(Text("replay with SEXTANT_SEED=", seed));
    Day day(seed);
    day.Run();
    ASSERT_FALSE(HasFailure());
    acked += day.history().acked.size();
    recoveries += day.history().recoveries;
    proofs += day.history().proofs;
    disproofs += day.history().disproofs;
    added_groups += day.history().added_groups;
    for (const auto& [lsn, record] : day.history().appended) {
      annulled += day.history().IsAnnulled(lsn, record);
    }
  }
  RecordProperty("acked", static_cast<int>(acked));
  RecordProperty("recoveries", static_cast<int>(recoveries));
  RecordProperty("annulled", static_cast<int>(annulled));
  RecordProperty("added_groups", static_cast<int>(added_groups));
  if (only == nullptr) {  // the days had what they are meant to have
    EXPECT_GT(acked, 100 * count / 10);
    EXPECT_GT(recoveries, 2 * count);
    EXPECT_GT(annulled, count);
    EXPECT_GT(proofs, 10 * count);
    EXPECT_GT(disproofs, count / 10);
    EXPECT_GT(added_groups, 2 * count);
  }
}

}  // namespace
}  // namespace sextant::compute
