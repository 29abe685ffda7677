// Source and replica machines under random schedules: delays, lost streams, crashes, fall-backs,
// folders that are lost or seeded anew.
//
// After every step, I13: what a replica has applied is a prefix of what was committed, each
// transaction once; what a client was answered in semi-sync mode stood in the synced relay log of
// as many replicas as were asked for when it was answered. A fall-back may end that promise, but
// only from its announcement on.
#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "compute-node/binlog/replication/replica_machine.h"
#include "compute-node/binlog/replication/source_machine.h"

namespace sextant::binlog {
namespace {

constexpr int kSeeds = 400;
constexpr int kSteps = 600;
constexpr SourceId kSource{0xa};

// A replica's node: what its disk holds, and the machine that is lost in a crash.
struct ReplicaNode {
  ReplicaCopy copy;
  std::deque<Gtid> relay;  // written; [0, synced) is synced
  size_t synced = 0;
  size_t lost = 0;  // synced in the copy before this one, of which the source has not heard
  std::vector<Gtid> applied;  // in the data
  std::unique_ptr<ReplicaMachine> machine;
  std::deque<Gtid> to_replica;   // the stream, in flight
  std::deque<TxnSeq> to_source;  // acks in flight
  bool is_connected = false;
  TxnSeq sent;

  GtidSet Relayed() const {
    GtidSet set;
    for (size_t i = 0; i < synced; ++i) set.Add(relay[i]);
    return set;
  }
  void Restart() {
    relay.resize(synced);
    machine = std::make_unique<ReplicaMachine>(ReplicaOptions{.max_batch = 3}, Relayed(),
                                               TxnSeq(applied.size()));
  }
};

class Schedule {
 public:
  explicit Schedule(uint64_t seed) : prng_(seed) {
    options_.acks = prng_.Below(3);
    options_.may_fall_back = prng_.OneIn(3);
    options_.fall_back_after = absl::Milliseconds(20);
    replicas_.resize(options_.acks + prng_.Below(2));
    for (size_t i = 0; i < replicas_.size(); ++i) {
      replicas_[i].copy = {Text("r", i), ReplicaId(++folders_)};
      replicas_[i].Restart();
    }
    source_ = std::make_unique<SourceMachine>(options_, GtidSet(), kSource);
  }

  // The first broken rule; empty: none.
  std::string Run() {
    for (int step = 0; step < kSteps && broken_.empty(); ++step) {
      now_ = now_ + absl::Milliseconds(1);
      Step();
      CarryOut();
      CheckReplicas();
    }
    return broken_;
  }

 private:
  void Step() {
    if (replicas_.empty() || prng_.OneIn(3)) {
      StepSource();
    } else {
      StepReplica(replicas_[prng_.Below(replicas_.size())]);
    }
  }

  void StepSource() {
    switch (prng_.Below(8)) {
      case 0:
      case 1:
      case 2:
        source_->Append();
        break;
      case 3:
      case 4:
        source_->Synced(
            TxnSeq(prng_.Between(source_->synced().value(), source_->appended().value())), now_);
        break;
      case 5:
        source_->Tick(now_);
        break;
      default:
        if (prng_.OneIn(20)) CrashSource();
    }
  }

  // The binlog's unsynced tail is gone; names are given out again, for nobody has heard them.
  void CrashSource() {
    source_ = std::make_unique<SourceMachine>(
        options_, source_->history().Through(source_->synced()), kSource);
    is_degraded_ = false;
    released_ = TxnSeq(0);
    for (ReplicaNode& replica : replicas_) Cut(replica);
  }

  void Cut(ReplicaNode& replica) {
    replica.to_replica.clear();
    replica.to_source.clear();
    if (replica.is_connected) {
      source_->Leave(replica.copy);
      replica.machine->Disconnected(now_);
    }
    replica.is_connected = false;
  }

  void Connect(ReplicaNode& replica) {
    const auto from = source_->Join(replica.copy, replica.Relayed(), now_);
    if (!from.ok()) {
      broken_ = "a replica of the same history was turned away";
      return;
    }
    // What is written, not synced, is received again: the machine knows only what was synced at a
    // restart, but a living one remembers more.
    replica.sent = TxnSeq(from->value() - 1);
    replica.lost = 0;
    replica.machine->Connected();
    replica.is_connected = true;
  }

  // Its folder is lost, or it is seeded by a snapshot: another copy, of the same node.
  void Reseed(ReplicaNode& replica) {
    replica.lost = std::max(replica.lost, replica.synced);
    replica.relay.clear();
    replica.applied.clear();
    if (prng_.OneIn(2)) {
      for (TxnSeq seq(1); seq <= source_->synced(); seq = seq.Next()) {
        replica.relay.push_back({kSource, seq});
        replica.applied.push_back({kSource, seq});
      }
    }
    replica.synced = replica.relay.size();
    checked_[&replica] = 0;
    replica.copy.folder = ReplicaId(++folders_);
    replica.Restart();
  }

  void StepReplica(ReplicaNode& replica) {
    switch (prng_.Below(8)) {
      case 0:
        if (!replica.is_connected) Connect(replica);
        break;
      case 1:
        if (prng_.OneIn(12)) {
          Cut(replica);
        } else if (prng_.OneIn(12)) {
          Cut(replica);
          replica.Restart();
        } else if (prng_.OneIn(20)) {
          Cut(replica);
          Reseed(replica);
        }
        break;
      case 2:
      case 3:
        if (replica.is_connected && replica.sent < source_->synced()) {
          replica.sent = replica.sent.Next();
          replica.to_replica.push_back({kSource, replica.sent});
        }
        break;
      case 4:
        Deliver(replica);
        break;
      case 5:
        replica.synced = replica.relay.size();
        replica.machine->RelaySynced(TxnSeq(replica.synced));
        TakeAck(replica);
        break;
      case 6:
        if (!replica.to_source.empty()) {
          if (!source_->Acked(replica.copy, replica.to_source.front(), now_).ok())
            broken_ = "a bad ack";
          replica.to_source.pop_front();
        }
        break;
      default:
        if (const auto batch = replica.machine->NextBatch()) {
          for (TxnSeq s = batch->first; s <= batch->last; s = s.Next()) {
            replica.applied.push_back(replica.relay[s.value() - 1]);
          }
          replica.machine->Applied(batch->last, 0, 0);
        }
    }
  }

  void TakeAck(ReplicaNode& replica) {
    if (const auto ack = replica.machine->TakeAck()) replica.to_source.push_back(*ack);
  }

  void Deliver(ReplicaNode& replica) {
    if (replica.to_replica.empty()) return;
    const Gtid gtid = replica.to_replica.front();
    replica.to_replica.pop_front();
    const auto is_new = replica.machine->Arrived(gtid, 0);
    if (!is_new.ok()) {
      broken_ = std::string(is_new.status().message());
    } else if (*is_new) {
      replica.relay.push_back(gtid);
    }
    TakeAck(replica);
  }

  // Announcements first, then answers to clients.
  void CarryOut() {
    const SourceMachine::Output output = source_->TakeOutput();
    if (output.announce.has_value()) is_degraded_ = *output.announce == SyncMode::kDegraded;
    if (output.release_through > source_->synced()) broken_ = "answered before the binlog's sync";
    if (is_degraded_) {
      degraded_through_ = std::max(degraded_through_, output.release_through);
      return;
    }
    // A copy that was lost may be counted until its node returns, not beside the next copy.
    if (output.release_through <= std::max(degraded_through_, released_)) return;
    released_ = output.release_through;
    size_t holders = 0;
    for (const ReplicaNode& replica : replicas_) {
      if (std::max(replica.synced, replica.lost) >= output.release_through.value()) ++holders;
    }
    if (holders < options_.acks) broken_ = "answered what too few replicas hold";
  }

  void CheckReplicas() {
    for (const ReplicaNode& replica : replicas_) {
      if (replica.applied.size() > replica.synced) broken_ = "applied before the relay's sync";
      for (size_t i = checked_[&replica]; i < replica.applied.size(); ++i) {
        if (replica.applied[i] != Gtid{kSource, TxnSeq(i + 1)}) broken_ = "not a commit prefix";
      }
      checked_[&replica] = replica.applied.size();
      if (TxnSeq(replica.applied.size()) > source_->synced()) broken_ = "ahead of the source";
    }
  }

  Prng prng_;
  SemiSyncOptions options_;
  Instant now_;
  std::vector<ReplicaNode> replicas_;
  std::unique_ptr<SourceMachine> source_;
  bool is_degraded_ = false;  // as clients and operators were told
  TxnSeq degraded_through_;
  TxnSeq released_;       // since the source began
  uint64_t folders_ = 0;  // ever made
  std::map<const ReplicaNode*, size_t> checked_;
  std::string broken_;
};

TEST(BinlogSchedule, AnswersAreKeptAndReplicasArePrefixes) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::string broken = Schedule(seed).Run();
    ASSERT_EQ(broken, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace sextant::binlog
