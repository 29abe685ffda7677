// See gossip_runner.h.
#include "storage-node/server/gossip_runner.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"

namespace sextant::storage {
namespace {

// After a fatal error a node acknowledges nothing.
constexpr auto kAckPatience = std::chrono::seconds(30);

bool IsUnreachable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

GossipRunner::GossipRunner(StorageNode* node, PeerLogs peers, GossipRunnerOptions options)
    : node_(node), options_(options), name_(node->Status().node) {
  for (auto& [name, read] : peers) {
    if (name != name_) peers_[name].read = std::move(read);
  }
  stream_ = node_->OpenStream([this](std::vector<protocol::AppendAck> acks) {
    std::lock_guard<std::mutex> lock(mutex_);
    ack_ = std::move(acks.back());
    changed_.notify_one();
  });
  node_->SetGapHook([this] { Wake(); });
  thread_ = std::thread([this] { Run(); });
}

GossipRunner::~GossipRunner() {
  node_->SetGapHook(nullptr);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

GossipCounters GossipRunner::counters() const {
  return {.requests = requests_, .failures = failures_, .records = records_};
}

// In every round of the committer while there is a gap: cheap when woken already.
void GossipRunner::Wake() {
  if (is_woken_.exchange(true)) return;
  std::lock_guard<std::mutex> lock(mutex_);
  changed_.notify_one();
}

void GossipRunner::Run() {
  Pass pass;
  while (true) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (pass.is_lacking && !pass.is_progress) {
        changed_.wait_for(lock, absl::ToChronoMilliseconds(options_.interval),
                          [this] { return is_stopping_; });
      } else if (!pass.is_lacking) {
        changed_.wait(lock, [this] { return is_stopping_ || is_woken_; });
      }
      if (is_stopping_) return;
    }
    is_woken_ = false;  // before looking: what comes later wakes again
    pass = LookAtAll();
  }
}

GossipRunner::Pass GossipRunner::LookAtAll() {
  Pass pass;
  for (const protocol::SegmentStatus& status : node_->Status().segments) {
    if (!Gossip::IsLacking(status)) {
      machines_.erase(status.segment);
      continue;
    }
    pass.is_lacking = true;
    if (Serve(status, rpc::SteadyNow())) pass.is_progress = true;
  }
  return pass;
}

bool GossipRunner::Serve(const protocol::SegmentStatus& status, Instant now) {
  // Nodes differ in whom they ask first.
  const Prng prng(std::hash<std::string>()(name_) + status.segment.pg.value());
  Gossip& gossip = machines_.try_emplace(status.segment, options_.gossip, prng).first->second;
  const std::optional<Gossip::Ask> ask = gossip.Next(status, PeersOf(status), now);
  if (!ask.has_value()) return false;
  const Lsn scl = Fetch(status, *ask);
  gossip.Finished(scl, rpc::SteadyNow());
  return scl > status.scl;
}

std::vector<quorum::Slot> GossipRunner::PeersOf(const protocol::SegmentStatus& status) const {
  std::vector<quorum::Slot> slots;
  for (size_t slot = 0; slot < status.membership.members.size(); ++slot) {
    const bool is_own = slot == status.slot;
    if (!is_own && peers_.contains(status.membership.members[slot].node)) {
      slots.push_back(static_cast<quorum::Slot>(slot));
    }
  }
  return slots;
}

Lsn GossipRunner::Fetch(const protocol::SegmentStatus& status, const Gossip::Ask& ask) {
  const std::string& peer = status.membership.members[ask.peer].node;
  const auto reply = Call(peer, ask.request);
  if (!reply.ok()) return status.scl;
  const auto batches = GossipBatches(status, ask.request, *reply);
  if (!batches.ok()) {
    ++failures_;
    spdlog::warn("a peer's log records are refused{}",
                 rpc::Fields("node", name_, "peer", peer, "error", batches.status()));
    return status.scl;
  }
  Lsn scl = status.scl;
  for (const log::EncodedBatch& batch : *batches) {
    const std::optional<protocol::AppendAck> ack = Append(batch);
    // Refused: the epoch has moved on, or there is no room. Asked again in a while.
    if (!ack.has_value() || !ack->status.ok()) return scl;
    records_ += batch.header.record_count;
    scl = ack->scl;
  }
  if (scl > status.scl) {
    spdlog::info(
        "log records fetched from a peer{}",
        rpc::Fields("volume", FormatVolumeId(status.segment.volume), "pg", status.segment.pg,
                    "peer", peer, "after", status.scl, "scl", scl, "wanted", status.pg_lsn_at_vdl));
  }
  return scl;
}

absl::StatusOr<protocol::ReadLogReply> GossipRunner::Call(const std::string& name,
                                                          const protocol::ReadLogRequest& request) {
  Peer& peer = peers_.at(name);
  if (rpc::SteadyNow() < peer.rests_until) {
    return absl::UnavailableError(Text("storage node ", name, " was unreachable a moment ago"));
  }
  ++requests_;
  auto reply = peer.read(request);
  if (!reply.ok()) ++failures_;
  NoteReachable(name, &peer, reply.status());
  return reply;
}

void GossipRunner::NoteReachable(const std::string& name, Peer* peer, const absl::Status& status) {
  const bool was_out = std::exchange(peer->is_out, IsUnreachable(status));
  if (peer->is_out) peer->rests_until = rpc::SteadyNow() + options_.peer_rest;
  if (peer->is_out && !was_out) {
    spdlog::warn("a peer cannot be asked for log records{}",
                 rpc::Fields("node", name_, "peer", name, "error", status));
  } else if (was_out && !peer->is_out) {
    spdlog::info("a peer answers again{}", rpc::Fields("node", name_, "peer", name));
  }
}

std::optional<protocol::AppendAck> GossipRunner::Append(const log::EncodedBatch& batch) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ack_.reset();
  }
  stream_->Append(batch.bytes);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kAckPatience, [this] { return is_stopping_ || ack_.has_value(); });
  return std::exchange(ack_, std::nullopt);
}

}  // namespace sextant::storage
