// WriterVolume::Effects: what a step under the mutex leaves to be done once it is released.
// Private.
#pragma once

#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "common/rpc/clock.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::compute {

class WriterVolume::Effects {
 public:
  explicit Effects(WriterVolume* volume) : volume_(*volume) {}

  void Flush(NodeIndex node) { flush_ |= 1u << node.value(); }
  void Probe(NodeIndex node, protocol::EpochProbe probe) { probes_.push_back({node, probe}); }
  void Raise(WriterOutput::RaiseEpoch raise) { raises_.push_back(std::move(raise)); }
  void Create(WriterOutput::CreateSegment create) { creates_.push_back(std::move(create)); }
  void Drop(WriterOutput::DropSegment drop) { drops_.push_back(std::move(drop)); }
  void Release(WaitTable::Wait wait, absl::Status status) {
    releases_.push_back({std::move(wait), std::move(status)});
  }
  void Answer(PageVolume::DurableCallback done, absl::Status status) {
    answers_.push_back({std::move(done), std::move(status)});
  }
  void Perform(Opening::Duty duty) { duties_.push_back(std::move(duty)); }
  void AskForMembers(NodeIndex node, uint64_t connection) { asks_.push_back({node, connection}); }
  void WakeFeed() { wakes_feed_ = true; }
  void Announce(VolumePhase phase) { phases_.push_back(phase); }

  // Sends first: others wait for them longest. The mutex is not held.
  void Run() {
    for (uint32_t node = 0; flush_ >> node; ++node) {
      if (flush_ >> node & 1) volume_.nodes_[node]->outbox.Flush();
    }
    for (const auto& [node, probe] : probes_) volume_.nodes_[node.value()]->peer->SendProbe(probe);
    RunReleases();
    if (wakes_feed_) volume_.feed_.Wake();
    for (Opening::Duty& duty : duties_) volume_.Perform(std::move(duty));
    for (const WriterOutput::RaiseEpoch& raise : raises_) volume_.PerformRaise(raise);
    for (const WriterOutput::CreateSegment& create : creates_) volume_.PerformCreate(create);
    for (const WriterOutput::DropSegment& drop : drops_) volume_.PerformDrop(drop);
    for (auto& [done, status] : answers_) done(std::move(status));
    for (const auto& [node, connection] : asks_) volume_.AskForMembers(node, connection);
    for (VolumePhase phase : phases_) {
      if (volume_.on_phase_) volume_.on_phase_(phase);
    }
  }

 private:
  struct Released {
    WaitTable::Wait wait;
    absl::Status status;
  };

  void RunReleases() {
    if (releases_.empty()) return;
    const Instant now = rpc::SteadyNow();
    for (Released& released : releases_) {
      if (released.wait.is_commit && released.status.ok() && volume_.options_.on_durable) {
        volume_.options_.on_durable(now - released.wait.since);
      }
      released.wait.done(std::move(released.status));
    }
  }

  WriterVolume& volume_;
  uint32_t flush_ = 0;  // bit by NodeIndex
  absl::InlinedVector<std::pair<NodeIndex, protocol::EpochProbe>, 8> probes_;
  absl::InlinedVector<Released, 4> releases_;
  std::vector<Opening::Duty> duties_;
  std::vector<WriterOutput::RaiseEpoch> raises_;
  std::vector<WriterOutput::CreateSegment> creates_;
  std::vector<WriterOutput::DropSegment> drops_;
  std::vector<std::pair<PageVolume::DurableCallback, absl::Status>> answers_;
  std::vector<std::pair<NodeIndex, uint64_t>> asks_;
  std::vector<VolumePhase> phases_;
  bool wakes_feed_ = false;
};

}  // namespace sextant::compute
