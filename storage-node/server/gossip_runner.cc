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

GossipRunner::GossipRunner(StorageNode* node, PeerNodes peers, GossipRunnerOptions options)
    : node_(node),
      options_(options),
      name_(node->Status().node),
      budget_(options.bytes_per_second) {
  for (auto& [name, peer] : peers) {
    if (name != name_) peers_[name].node = std::move(peer);
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
  return {.requests = requests_,
          .failures = failures_,
          .records = records_,
          .pages = pages_,
          .rebuilds = rebuilds_,
          .repaired_pages = repaired_pages_};
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
  for (const auto& [segment, damaged] : node_->TakeDamagedPages()) {
    repairs_.try_emplace(segment, options_.page_repair, PrngOf(segment))
        .first->second.Found(damaged, rpc::SteadyNow());
  }
  Pass pass;
  for (const protocol::SegmentStatus& status : node_->Status().segments) {
    const bool is_lacking = Gossip::IsLacking(status);
    const auto repair = repairs_.find(status.segment);
    if (!is_lacking) Forget(status.segment);
    const bool has_damage = repair != repairs_.end() && !repair->second.empty();
    if (!is_lacking && !has_damage) continue;
    pass.is_lacking = true;
    if (rpc::SteadyNow() < budget_.ready_at()) continue;
    if (is_lacking && ServeLacking(status)) pass.is_progress = true;
    if (has_damage && ServeRepair(status, &repair->second)) pass.is_progress = true;
  }
  return pass;
}

void GossipRunner::Forget(SegmentId segment) {
  const auto found = machines_.find(segment);
  if (found == machines_.end()) return;
  if (found->second.rebuild.is_running()) node_->SetRebuild(segment, std::nullopt);
  machines_.erase(found);
}

// Nodes differ in whom they ask first.
Prng GossipRunner::PrngOf(SegmentId segment) const {
  return Prng(std::hash<std::string>()(name_) + segment.pg.value());
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

bool GossipRunner::ServeLacking(const protocol::SegmentStatus& status) {
  Machines& machines =
      machines_
          .try_emplace(status.segment, Machines{Gossip(options_.gossip, PrngOf(status.segment)),
                                                Rebuild(options_.rebuild, PrngOf(status.segment))})
          .first->second;
  if (machines.rebuild.is_running()) return ServeRebuild(status, &machines.rebuild);
  return ServeGossip(status, &machines);
}

// --- log records

bool GossipRunner::ServeGossip(const protocol::SegmentStatus& status, Machines* machines) {
  const std::optional<Gossip::Ask> ask =
      machines->gossip.Next(status, PeersOf(status), rpc::SteadyNow());
  if (!ask.has_value()) return false;
  const auto reply = Call(status, ask->peer, &PeerNode::ReadLog, ask->request);
  const Lsn scl = reply.ok() ? Take(status, *ask, *reply) : status.scl;
  machines->gossip.Finished(scl, rpc::SteadyNow());
  if (!absl::IsOutOfRange(reply.status())) return scl > status.scl;
  machines->rebuild.Start(status, rpc::SteadyNow());
  spdlog::info("peers keep no log so old: the segment is rebuilt from their pages{}",
               rpc::Fields("node", name_, "volume", FormatVolumeId(status.segment.volume), "pg",
                           status.segment.pg, "scl", status.scl, "wanted", status.pg_lsn_at_vdl));
  return true;
}

Lsn GossipRunner::Take(const protocol::SegmentStatus& status, const Gossip::Ask& ask,
                       const protocol::ReadLogReply& reply) {
  const std::string& peer = status.membership.members[ask.peer].node;
  const auto batches = GossipBatches(status, ask.request, reply);
  if (!batches.ok()) {
    ++failures_;
    spdlog::warn("a peer's log records are refused{}",
                 rpc::Fields("node", name_, "peer", peer, "error", batches.status()));
    return status.scl;
  }
  Lsn scl = status.scl;
  for (const log::EncodedBatch& batch : *batches) {
    budget_.Spend(batch.bytes->size(), rpc::SteadyNow());
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

// --- pages

bool GossipRunner::ServeRebuild(const protocol::SegmentStatus& status, Rebuild* rebuild) {
  const Rebuild::Duty duty = rebuild->Next(status, PeersOf(status), rpc::SteadyNow());
  if (const auto* ask = std::get_if<Rebuild::Ask>(&duty)) return CopyPages(status, *ask, rebuild);
  if (const auto* what = std::get_if<Rebuild::ReadBack>(&duty)) {
    return ReadBack(status.segment, *what, rebuild);
  }
  if (const auto* finish = std::get_if<Rebuild::Finish>(&duty)) {
    return FinishRebuild(status.segment, *finish, rebuild);
  }
  if (!rebuild->is_running()) node_->SetRebuild(status.segment, std::nullopt);
  return false;
}

bool GossipRunner::CopyPages(const protocol::SegmentStatus& status, const Rebuild::Ask& ask,
                             Rebuild* rebuild) {
  const std::string& peer = status.membership.members[ask.peer].node;
  const auto reply = Call(status, ask.peer, &PeerNode::CopyPages, ask.request);
  const absl::Status taken = rebuild->Copied(reply, rpc::SteadyNow());
  if (!taken.ok()) {
    spdlog::debug("a peer's pages cannot be copied{}",
                  rpc::Fields("node", name_, "peer", peer, "error", taken));
    return false;
  }
  if (!node_->StorePages(status.segment, reply->pages).ok()) return false;  // the node ends
  pages_ += reply->pages.size();
  for (const auto& page : reply->pages) budget_.Spend(page.image.bytes.size(), rpc::SteadyNow());
  protocol::RebuildProgress progress = rebuild->progress();
  progress.peer = peer;
  node_->SetRebuild(status.segment, std::move(progress));
  return true;
}

bool GossipRunner::ReadBack(SegmentId segment, const Rebuild::ReadBack& what, Rebuild* rebuild) {
  const absl::Status status = node_->ReadBack(segment, what);
  rebuild->WasReadBack(status, rpc::SteadyNow());
  if (status.ok()) return true;
  spdlog::warn("pages copied from peers are not all there, they are copied anew{}",
               rpc::Fields("node", name_, "volume", FormatVolumeId(segment.volume), "pg",
                           segment.pg, "error", status));
  return false;
}

bool GossipRunner::FinishRebuild(SegmentId segment, const Rebuild::Finish& finish,
                                 Rebuild* rebuild) {
  const absl::Status status = node_->BeginLogAt(
      segment, finish.incarnation, {.lsn = finish.log_start, .read_floor = finish.read_floor});
  rebuild->Finished(status, rpc::SteadyNow());
  const protocol::RebuildProgress progress = rebuild->progress();
  const std::string fields =
      rpc::Fields("node", name_, "volume", FormatVolumeId(segment.volume), "pg", segment.pg,
                  "pages", progress.pages_copied, "bytes", progress.bytes_copied, "log_start",
                  finish.log_start, "read_floor", finish.read_floor, "error", status);
  if (!status.ok()) {
    spdlog::warn("the log of a rebuilt segment could not be begun{}", fields);
    return false;
  }
  ++rebuilds_;
  node_->SetRebuild(segment, std::nullopt);
  spdlog::info("pages copied from peers, the log goes on{}", fields);
  return true;
}

bool GossipRunner::ServeRepair(const protocol::SegmentStatus& status, PageRepair* repair) {
  const auto make = repair->Next(status, PeersOf(status), rpc::SteadyNow());
  if (!make.has_value()) return false;
  const auto reply = make->peer.has_value()
                         ? Call(status, *make->peer, &PeerNode::ReadPages, make->request)
                         : node_->ReadPages(make->request);
  const auto replace = repair->Made(reply, rpc::SteadyNow());
  if (!replace.has_value()) return true;  // the next one in turn
  budget_.Spend(replace->image ? replace->image->bytes.size() : 0, rpc::SteadyNow());
  absl::Status outcome;
  if (replace->read_floor.has_value()) {  // refused while its log moves
    outcome = node_->BeginLogAt(status.segment, status.incarnation,
                                {.lsn = status.log_start, .read_floor = *replace->read_floor});
  }
  if (outcome.ok()) outcome = node_->ReplacePage(status.segment, *replace);
  repair->Replaced(outcome, rpc::SteadyNow());
  if (!outcome.ok()) {
    spdlog::warn("a damaged page version could not be replaced{}",
                 rpc::Fields("node", name_, "volume", FormatVolumeId(status.segment.volume), "pg",
                             status.segment.pg, "page", replace->page, "error", outcome));
    return false;
  }
  ++repaired_pages_;
  spdlog::info("damaged page version replaced{}",
               rpc::Fields("node", name_, "volume", FormatVolumeId(status.segment.volume), "pg",
                           status.segment.pg, "page", replace->page, "from",
                           make->peer ? status.membership.members[*make->peer].node : name_));
  return true;
}

// --- peers

template <typename Reply, typename Request>
absl::StatusOr<Reply> GossipRunner::Call(const protocol::SegmentStatus& status, quorum::Slot slot,
                                         absl::StatusOr<Reply> (PeerNode::*method)(const Request&),
                                         const Request& request) {
  const std::string& name = status.membership.members[slot].node;
  Peer& peer = peers_.at(name);
  if (rpc::SteadyNow() < peer.rests_until) {
    return absl::UnavailableError(Text("storage node ", name, " was unreachable a moment ago"));
  }
  ++requests_;
  auto reply = ((*peer.node).*method)(request);
  if (!reply.ok()) ++failures_;
  NoteReachable(name, &peer, reply.status());
  return reply;
}

void GossipRunner::NoteReachable(const std::string& name, Peer* peer, const absl::Status& status) {
  const bool was_out = std::exchange(peer->is_out, IsUnreachable(status));
  if (peer->is_out) peer->rests_until = rpc::SteadyNow() + options_.peer_rest;
  if (peer->is_out && !was_out) {
    // Unreachable, or it answered that it cannot help now: the error tells.
    spdlog::warn("a peer does not help for now{}",
                 rpc::Fields("node", name_, "peer", name, "error", status));
  } else if (was_out && !peer->is_out) {
    spdlog::info("a peer helps again{}", rpc::Fields("node", name_, "peer", name));
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
