// Random days of a volume: writers that recover, write, lose links and nodes, are paused, die and
// are succeeded, over real segments (sim_testing.h). Checked: nothing acknowledged is ever lost,
// VDL never falls from one epoch to the next, what was cut off never comes back, one epoch opens
// for one claimant, no LSN is given out twice, mini-transactions survive whole or not at all, the
// volume, which grows as it is written to, never shrinks, and nobody is told that he still is the
// writer when another one had opened before he asked.
#include <map>
#include <memory>
#include <set>

#include "common/base/text.h"
#include "compute-node/volume/recovery.h"
#include "compute-node/volume/sim_testing.h"
#include "compute-node/volume/writer.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using testing::kPagesPerPg;
using testing::kVolume;
using testing::SimCluster;

// Everything that ever happened, across claimants.
struct History {
  struct Record {
    Lsn mtr;  // its mini-transaction's commit LSN
    PgId pg;
    VolumeEpoch epoch;
    std::string payload;
  };
  std::map<Lsn, Record> appended;
  std::set<Lsn> acked;                // commit LSNs
  Lsn highest_durable;                // highest VDL any writer had
  std::map<VolumeEpoch, Lsn> opened;  // epoch -> VDL it opened at
  uint64_t recoveries = 0, restarts = 0, added_groups = 0;
  uint32_t used_groups = 0;  // something was appended there
  uint64_t proofs = 0, disproofs = 0;

  void Opened(const RecoveredVolume& volume) {
    EXPECT_TRUE(opened.emplace(volume.epoch, volume.vdl).second)
        << "epoch " << volume.epoch << " opened twice";
    ++recoveries;
    // Paused before its last answers, and succeeded meanwhile: it opens what is closed to it.
    if (volume.epoch < opened.rbegin()->first) return;
    EXPECT_GE(volume.vdl, highest_durable) << "VDL fell";
    EXPECT_GE(volume.descriptor.geometry.pg_count, used_groups) << "the volume shrank";
    EXPECT_GT(volume.next_lsn, appended.empty() ? Lsn() : appended.rbegin()->first);
    highest_durable = std::max(highest_durable, volume.vdl);
  }
  void Durable(VolumeEpoch epoch, Lsn vdl) {
    highest_durable = std::max(highest_durable, vdl);
    for (auto it = opened.upper_bound(epoch); it != opened.end(); ++it) {
      EXPECT_GE(it->second, vdl) << "durable in epoch " << epoch << ", lost by " << it->first;
    }
  }
  // Whether a recovery cut the record off.
  bool IsAnnulled(Lsn lsn, const Record& record) const {
    for (auto it = opened.upper_bound(record.epoch); it != opened.end(); ++it) {
      if (lsn > it->second) return true;
    }
    return false;
  }
};

struct ClaimantOptions {
  uint64_t lal;
  WriterOptions writer;
};

// A compute node: recovers, then writes as fast as it is let.
class Claimant {
 public:
  Claimant(SimCluster* cluster, History* history, WriterId id, const ClaimantOptions& options)
      : cluster_(cluster), history_(history), id_(id), options_(options.writer) {
    recovery_ = std::make_unique<Recovery>(
        kVolume, id, SimCluster::Names(),
        Recovery::Options{.lal = options.lal, .retry_interval = absl::Milliseconds(50)});
    streams_.resize(quorum::kMembers);
  }
  ~Claimant() {
    for (uint64_t stream : streams_) cluster_->CloseStream(stream);
  }
  void Start() {
    recovery_->Start(cluster_->now());
    Drain();
    Tick();
  }

  bool is_open() const { return writer_ != nullptr; }
  bool is_over() const {
    return writer_ ? writer_->is_fenced() : recovery_->phase() == Recovery::Phase::kFailed;
  }
  const Recovery& recovery() const { return *recovery_; }
  Writer& writer() { return *writer_; }
  uint64_t acked() const { return acked_; }
  // Like SIGSTOP: what comes waits until it wakes.
  void Pause(absl::Duration time) { asleep_until_ = cluster_->now() + time; }
  // It never reaches these nodes: another one may hold them, or be held by them, unseen.
  void CutOff(quorum::SlotSet nodes) { cut_off_ = nodes; }
  // Segments that were never made, of groups that an earlier writer wrote to: only a replacement
  // brings them back.
  const std::set<MemberAddress>& lost() const { return lost_; }
  bool is_writing = true;

 private:
  // Tokens of WhenCurrent; those of WaitDurable are LSNs.
  static constexpr uint64_t kFirstProof = 1ull << 40;

  // Events outlive a claimant that dies: they hold this instead of it.
  template <typename Fn>
  auto IfAlive(Fn fn) {
    return [this, alive = std::weak_ptr<bool>(alive_), fn](auto... args) {
      if (!alive.expired()) WhenAwake([fn, args...] { fn(args...); });
    };
  }
  void WhenAwake(std::function<void()> event) {
    if (cluster_->now() >= asleep_until_) return event();
    cluster_->After(asleep_until_ - cluster_->now(),
                    [this, alive = std::weak_ptr<bool>(alive_), event = std::move(event)] {
                      if (!alive.expired()) WhenAwake(event);
                    });
  }

  void Tick() {
    if (writer_) {
      writer_->Tick(cluster_->now());
      Write();
      Ask();
    } else {
      recovery_->Tick(cluster_->now());
    }
    Drain();
    cluster_->After(absl::Milliseconds(2), IfAlive([this] { Tick(); }));
  }

  void Write() {
    if (!is_writing) return;
    for (uint64_t n = cluster_->rng.Below(3); n > 0; --n) {
      std::vector<page::PageChange> changes;
      std::vector<PageNo> pages;
      for (uint64_t i = cluster_->rng.Between(1, 6); i > 0; --i) {
        const uint64_t beyond = cluster_->rng.OneIn(20) ? 2 * kPagesPerPg : 0;
        const PageNo page(cluster_->rng.Below(writer_->geometry().PageCount() + beyond));
        pages.push_back(page);
        changes.push_back({.page = page,
                           .payload = std::string(cluster_->rng.Between(1, 300),
                                                  static_cast<char>('a' + id_.value() % 26))});
      }
      if (!writer_->CheckAppend(1, pages).ok()) return;
      const Writer::Appended done = writer_->Append(changes);
      for (size_t i = 0; i < changes.size(); ++i) {
        const History::Record record{done.commit_lsn,
                                     PgId(static_cast<uint32_t>(pages[i].value() / kPagesPerPg)),
                                     writer_->epoch(), changes[i].payload};
        EXPECT_TRUE(history_->appended.emplace(done.first_lsn + i, record).second)
            << "LSN given out twice: " << done.first_lsn + i;
        history_->used_groups = std::max(history_->used_groups, record.pg.value() + 1);
      }
      writer_->WaitDurable(done.commit_lsn, WaitToken(done.commit_lsn.value()),
                           cluster_->now() + absl::Milliseconds(200));
    }
  }

  // Remembers which epoch was the newest open one when it asked.
  void Ask() {
    if (!cluster_->rng.OneIn(2)) return;
    asked_at_.push_back(history_->opened.rbegin()->first);
    writer_->WhenCurrent(WaitToken(kFirstProof + asked_at_.size() - 1),
                         cluster_->now() + absl::Milliseconds(200));
  }

  void ProofReleased(uint64_t index, const absl::Status& status) {
    const VolumeEpoch newest = asked_at_[index];
    if (status.ok()) {
      EXPECT_EQ(newest, writer_->epoch()) << "told to be the writer, and was not";
    }
    ++(status.ok() ? history_->proofs : history_->disproofs);
  }

  void Drain() {
    if (writer_) return DrainWriter();
    for (Recovery::Duty& duty : recovery_->TakeDuties()) {
      std::visit([this](auto& d) { CarryOut(d); }, duty);
    }
    if (recovery_->phase() == Recovery::Phase::kOpen) Open();
  }

  void Open() {
    const RecoveredVolume& volume = recovery_->result();
    history_->Opened(volume);
    writer_ = std::make_unique<Writer>(volume, options_);
    pg_count_ = volume.descriptor.geometry.pg_count;
    for (uint64_t& stream : streams_) cluster_->CloseStream(std::exchange(stream, 0));
    for (int node = 0; node < quorum::kMembers; ++node) Connect(node);
  }

  // Whether a request to the node is lost: then `answer` is called with UNAVAILABLE.
  template <typename Answer>
  bool IsLost(int node, Answer answer) {
    if (!cut_off_.Contains(static_cast<quorum::Slot>(node))) return false;
    cluster_->After(cluster_->SomeDelay(), [answer] { answer(absl::UnavailableError("cut off")); });
    return true;
  }

  void CarryOut(const Recovery::AskNode& duty) {
    const int node = SimCluster::IndexOf(duty.node);
    const auto answer =
        IfAlive([this, name = duty.node](const absl::StatusOr<protocol::NodeStatus>& reply) {
          recovery_->NodeAnswered(name, reply, cluster_->now());
          Drain();
        });
    if (!IsLost(node, answer)) cluster_->GetStatus(node, answer);
  }
  void CarryOut(const Recovery::RaiseEpoch& duty) {
    EXPECT_EQ(recovery_->NodeOf(duty.member), SimCluster::Names()[duty.member.slot]);
    const auto answer =
        IfAlive([this, member = duty.member](const absl::StatusOr<protocol::SegmentStatus>& reply) {
          recovery_->EpochRaised(member, reply, cluster_->now());
          Drain();
        });
    if (IsLost(duty.member.slot, answer)) return;
    cluster_->RaiseEpoch(duty.member.slot, duty.request, answer);
  }
  void CarryOut(const Recovery::ReadLog& duty) {
    protocol::ReadLogRequest request = duty.request;
    request.max_bytes = 500;  // several chunks
    const auto answer =
        IfAlive([this, member = duty.member](const absl::StatusOr<protocol::ReadLogReply>& reply) {
          recovery_->LogRead(member, reply, cluster_->now());
          Drain();
        });
    if (!IsLost(duty.member.slot, answer)) cluster_->ReadLog(duty.member.slot, request, answer);
  }
  void CarryOut(const Recovery::SendBatch& duty) {
    uint64_t& stream = streams_[duty.member.slot];
    if (stream == 0) {
      stream = cluster_->OpenStream(
          duty.member.slot, IfAlive([this](MemberAddress member, const protocol::AppendAck& ack) {
            recovery_->BatchAcked(member, ack, cluster_->now());
            Drain();
          }),
          IfAlive([this, slot = duty.member.slot] { streams_[slot] = 0; }));
    }
    cluster_->SendBatch(stream, duty.member, duty.batch);
  }

  void Connect(int node) {
    if (cut_off_.Contains(static_cast<quorum::Slot>(node))) return;
    const uint64_t stream = cluster_->OpenStream(
        node, IfAlive([this](MemberAddress member, const protocol::AppendAck& ack) {
          writer_->Acked(member, ack);
          Drain();
        }),
        IfAlive([this, node] { Disconnected(node); }),
        IfAlive([this](MemberAddress member, const protocol::EpochAnswer& answer) {
          writer_->EpochAnswered(member, answer);
          Drain();
        }));
    if (stream == 0) return Reconnect(node);
    streams_[node] = stream;
    cluster_->GetStatus(node,
                        IfAlive([this, node, stream](absl::StatusOr<protocol::NodeStatus> reply) {
                          if (streams_[node] != stream) return;
                          if (!reply.ok()) {
                            cluster_->CloseStream(std::exchange(streams_[node], 0));
                            return Reconnect(node);
                          }
                          MembersUp(node, *reply);
                          Drain();
                        }));
  }
  void MembersUp(int node, const protocol::NodeStatus& reply) {
    std::set<PgId> present;
    for (const protocol::SegmentStatus& status : reply.segments) {
      const PgId pg = status.segment.pg;
      if (pg.value() >= writer_->geometry().pg_count) continue;
      present.insert(pg);
      writer_->MemberUp({pg, static_cast<quorum::Slot>(node)}, status);
    }
    for (uint32_t pg = 0; pg < writer_->geometry().pg_count; ++pg) {
      const MemberAddress member{PgId(pg), static_cast<quorum::Slot>(node)};
      if (present.contains(PgId(pg)) || writer_->SegmentMissing(member)) continue;
      lost_.insert(member);
    }
  }
  void Disconnected(int node) {
    streams_[node] = 0;
    for (uint32_t pg = 0; pg < writer_->geometry().pg_count; ++pg) {
      writer_->MemberDown({PgId(pg), static_cast<quorum::Slot>(node)});
    }
    Reconnect(node);
  }
  void Reconnect(int node) {
    cluster_->After(absl::Milliseconds(10), IfAlive([this, node] { Connect(node); }));
  }

  void FollowGrowth() {
    for (; pg_count_ < writer_->geometry().pg_count; ++pg_count_) {
      for (int node = 0; node < quorum::kMembers; ++node) {
        const MemberAddress member{PgId(pg_count_), static_cast<quorum::Slot>(node)};
        if (streams_[node] == 0) writer_->MemberDown(member);
      }
    }
  }

  void DrainWriter() {
    FollowGrowth();
    WriterOutput out = writer_->TakeOutput();
    for (const auto& create : out.creates) {
      EXPECT_EQ(create.node, SimCluster::Names()[create.member.slot]);
      cluster_->CreateSegment(create.member.slot, create.request,
                              IfAlive([this, member = create.member](auto reply) {
                                writer_->SegmentCreated(member, reply);
                                Drain();
                              }));
    }
    for (const auto& raise : out.raise_epochs) {
      cluster_->RaiseEpoch(raise.member.slot, raise.request,
                           IfAlive([this, member = raise.member](auto reply) {
                             writer_->EpochRaised(member, reply);
                             Drain();
                           }));
    }
    for (const WriterOutput::Send& send : out.sends) {
      if (streams_[send.member.slot] != 0) {
        cluster_->SendBatch(streams_[send.member.slot], send.member, send.batch);
      }
    }
    for (const WriterOutput::Probe& probe : out.probes) {
      cluster_->SendProbe(streams_[probe.member.slot], probe.member, probe.probe);
    }
    for (const WriterOutput::Release& release : out.releases) {
      if (release.wait.value() >= kFirstProof) {
        EXPECT_FALSE(absl::IsResourceExhausted(release.status)) << release.status;
        ProofReleased(release.wait.value() - kFirstProof, release.status);
        continue;
      }
      const Lsn lsn(release.wait.value());
      if (!release.status.ok()) {
        EXPECT_TRUE(absl::IsDeadlineExceeded(release.status) ||
                    absl::IsFailedPrecondition(release.status))
            << release.status;
        continue;
      }
      EXPECT_GE(writer_->vdl(), lsn);
      CheckCopies(lsn);
      history_->acked.insert(lsn);
      ++acked_;
    }
    history_->Durable(writer_->epoch(), writer_->vdl());
  }

  // At the moment of the acknowledgement every record is durable on a write quorum.
  void CheckCopies(Lsn commit) const {
    for (auto it = history_->appended.find(commit);
         it->second.mtr == commit && it->second.epoch == writer_->epoch();) {
      int copies = 0;
      for (int node = 0; node < quorum::kMembers; ++node) {
        if (!cluster_->HasSegment(node, it->second.pg)) continue;
        copies += cluster_->segment(node, it->second.pg).Status().scl >= it->first;
      }
      EXPECT_GE(copies, quorum::kWriteQuorum) << "LSN " << it->first << " of commit " << commit;
      if (it == history_->appended.begin()) break;
      --it;
    }
  }

  SimCluster* cluster_;
  History* history_;
  WriterId id_;
  WriterOptions options_;
  std::unique_ptr<Recovery> recovery_;
  std::unique_ptr<Writer> writer_;
  std::vector<uint64_t> streams_;  // by node, 0 when down
  uint64_t acked_ = 0;
  std::vector<VolumeEpoch> asked_at_;
  Instant asleep_until_;
  quorum::SlotSet cut_off_;
  uint32_t pg_count_ = 0;  // followed
  std::set<MemberAddress> lost_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

ClaimantOptions RandomOptions(Prng* rng) {
  const uint64_t lal = rng->OneIn(2) ? rng->Between(8, 60) : 10'000;
  return {.lal = lal,
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
