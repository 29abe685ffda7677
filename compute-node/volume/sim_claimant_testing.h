// A simulated compute node: recovers, then writes as fast as it is let, over sim_testing.h. Tests
// only.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "compute-node/volume/recovery.h"
#include "compute-node/volume/sim_history_testing.h"
#include "compute-node/volume/sim_testing.h"
#include "compute-node/volume/writer.h"

namespace sextant::compute::testing {

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

  void Tick();
  void Write();

  // Remembers which epoch was the newest open one when it asked.
  void Ask();
  void ProofReleased(uint64_t index, const absl::Status& status);
  void Drain();
  void Open();

  // Whether a request to the node is lost: then `answer` is called with UNAVAILABLE.
  template <typename Answer>
  bool IsLost(int node, Answer answer) {
    if (!cut_off_.Contains(static_cast<quorum::Slot>(node))) return false;
    cluster_->After(cluster_->SomeDelay(), [answer] { answer(absl::UnavailableError("cut off")); });
    return true;
  }

  void CarryOut(const Recovery::AskNode& duty);
  void CarryOut(const Recovery::RaiseEpoch& duty);
  void CarryOut(const Recovery::ReadLog& duty);
  void CarryOut(const Recovery::SendBatch& duty);
  void Connect(int node);
  void MembersUp(int node, const protocol::NodeStatus& reply);
  void Disconnected(int node);
  void Reconnect(int node);
  void FollowGrowth();
  void DrainWriter();

  // At the moment of the acknowledgement every record is durable on a write quorum.
  void CheckCopies(Lsn commit) const;

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

}  // namespace sextant::compute::testing
