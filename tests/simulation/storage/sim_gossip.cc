// See sim_gossip.h.
#include "tests/simulation/storage/sim_gossip.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "tests/simulation/storage/storage_host.h"

namespace sextant::simulation {

using storage::Gossip;
using storage::PageRepair;
using storage::Rebuild;

// --- passes

void SimGossip::Wake() {
  is_woken_ = true;
  if (is_looking_) return;
  is_looking_ = true;  // not within the call of whoever met it
  sim_.loop.After(absl::ZeroDuration(), process_, [this] { Look(); });
}

void SimGossip::Look() {
  is_looking_ = true;
  is_woken_ = is_lacking_ = is_progress_ = false;
  for (const auto& [segment, damaged] : node_.take_damaged_pages()) {
    repairs_.try_emplace(segment, plan_.page_repair, PrngOf(segment))
        .first->second.Found(damaged, now());
  }
  statuses_ = node_.statuses();
  index_ = 0;
  stage_ = Stage::kLacking;
  LookAtNext();
}

void SimGossip::LookAtNext() {
  for (; index_ < statuses_.size(); ++index_, stage_ = Stage::kLacking) {
    const SegmentId segment = current().segment;
    if (stage_ == Stage::kLacking) {
      if (Gossip::IsLacking(current())) {
        is_lacking_ = true;
        return ServeLacking();
      }
      machines_.erase(segment);
      stage_ = Stage::kRepair;
    }
    const auto repair = repairs_.find(segment);
    if (stage_ == Stage::kRepair && repair != repairs_.end() && !repair->second.empty()) {
      is_lacking_ = true;
      return ServeRepair();
    }
  }
  // The pass is over.
  if (is_lacking_ || is_woken_) {
    const absl::Duration pause =
        is_progress_ || !is_lacking_ ? absl::ZeroDuration() : plan_.interval;
    sim_.loop.After(pause, process_, [this] { Look(); });
  } else {
    is_looking_ = false;
  }
}

void SimGossip::Done(bool is_progress) {
  is_progress_ |= is_progress;
  stage_ = stage_ == Stage::kLacking ? Stage::kRepair : Stage::kDone;
  LookAtNext();
}

std::vector<quorum::Slot> SimGossip::Peers() const {
  std::vector<quorum::Slot> peers;
  const auto& members = current().membership.members;
  for (size_t slot = 0; slot < members.size(); ++slot) {
    const bool is_own = slot == current().slot;
    if (!is_own && node_.find(members[slot].node) != nullptr) {
      peers.push_back(static_cast<quorum::Slot>(slot));
    }
  }
  return peers;
}

template <typename Reply, typename Request>
void SimGossip::Ask(quorum::Slot slot, const Request& request,
                    void (StorageHost::*method)(const Request&, Network::Answer<Reply>),
                    Network::Answer<Reply> done) {
  const std::string name = current().membership.members[slot].node;
  if (now() < rests_[name]) return done(absl::UnavailableError("unreachable a moment ago"));
  ++requests_;
  StorageHost* peer = node_.find(name);
  node_.network->Call<Reply>(
      process_, peer->process(), plan_.patience,
      [peer, request, method](auto answer) { (peer->*method)(request, std::move(answer)); },
      [this, name, done = std::move(done)](absl::StatusOr<Reply> reply) {
        if (absl::IsUnavailable(reply.status()) || absl::IsDeadlineExceeded(reply.status())) {
          rests_[name] = now() + plan_.peer_rest;
        }
        done(std::move(reply));
      });
}

void SimGossip::ServeLacking() {
  const SegmentId segment = current().segment;
  Machines& machines = machines_
                           .try_emplace(segment, Machines{Gossip(plan_.machine, PrngOf(segment)),
                                                          Rebuild(plan_.rebuild, PrngOf(segment))})
                           .first->second;
  if (machines.rebuild.is_running()) return ServeRebuild(&machines.rebuild);
  ServeGossip(&machines);
}

// --- log records

void SimGossip::ServeGossip(Machines* machines) {
  const auto ask = machines->gossip.Next(current(), Peers(), now());
  if (!ask.has_value()) return Done(false);
  request_ = ask->request;
  scl_ = current().scl;
  Ask<protocol::ReadLogReply>(ask->peer, ask->request, &StorageHost::ReadLog,
                              [this](const auto& reply) { LogAnswered(reply); });
}

void SimGossip::LogAnswered(const absl::StatusOr<protocol::ReadLogReply>& reply) {
  if (absl::IsOutOfRange(reply.status())) {
    Machines& machines = machines_.at(current().segment);
    machines.gossip.Finished(scl_, now());
    machines.rebuild.Start(current(), now());
    sim_.Count(Rare::kRebuildBegun);
    sim_.Tell(node_.name, " pg ", current().segment.pg, ": rebuilt from peers' pages from ", scl_);
    return Done(true);
  }
  if (!reply.ok()) return FinishGossip();
  auto batches = storage::GossipBatches(current(), request_, *reply);
  if (!batches.ok()) return FinishGossip();
  batches_ = *std::move(batches);
  next_batch_ = 0;
  AppendNext();
}

void SimGossip::AppendNext() {
  if (next_batch_ == batches_.size()) return FinishGossip();
  waiting_ = ++appended_;
  sim_.loop.After(plan_.patience, process_, [this, number = waiting_] {
    if (waiting_ == number) FinishGossip();
  });
  node_.append(batches_[next_batch_++].bytes);
}

void SimGossip::Acked(const protocol::AppendAck& ack) {
  if (std::exchange(waiting_, 0) == 0) return;
  if (!ack.status.ok()) return FinishGossip();  // the epoch has moved on, or there is no room
  scl_ = ack.scl;
  AppendNext();
}

void SimGossip::FinishGossip() {
  waiting_ = 0;
  batches_.clear();
  machines_.at(current().segment).gossip.Finished(scl_, now());
  const bool is_progress = scl_ > current().scl;
  if (is_progress) {
    sim_.Count(Rare::kGossipFilledHole);
    sim_.Tell(node_.name, " pg ", current().segment.pg, ": gossip brought ", current().scl, " to ",
              scl_);
  }
  Done(is_progress);
}

// --- pages

void SimGossip::ServeRebuild(Rebuild* rebuild) {
  const Rebuild::Duty duty = rebuild->Next(current(), Peers(), now());
  if (const auto* ask = std::get_if<Rebuild::Ask>(&duty)) {
    protocol::CopyPagesRequest request = ask->request;
    request.max_bytes = std::min(request.max_bytes, plan_.max_copy_bytes);
    return Ask<protocol::CopyPagesReply>(ask->peer, request, &StorageHost::CopyPages,
                                         [this](const auto& reply) { PagesCopied(reply); });
  }
  if (const auto* what = std::get_if<Rebuild::ReadBack>(&duty)) {
    return node_.read_back(current().segment, *what, [this](const absl::Status& status) {
      machines_.at(current().segment).rebuild.WasReadBack(status, now());
      Done(status.ok());
    });
  }
  const auto* finish = std::get_if<Rebuild::Finish>(&duty);
  if (finish == nullptr) return Done(false);
  const storage::LogStart to{.lsn = finish->log_start, .read_floor = finish->read_floor};
  node_.begin_log_at(
      current().segment, finish->incarnation, to, [this, to](const absl::Status& status) {
        machines_.at(current().segment).rebuild.Finished(status, now());
        if (status.ok()) sim_.Count(Rare::kRebuildFinished);
        sim_.Tell(node_.name, " pg ", current().segment.pg, ": rebuilt, log begins at ", to.lsn,
                  ", read floor ", to.read_floor, ": ", View(status.message()));
        Done(status.ok());
      });
}

void SimGossip::PagesCopied(const absl::StatusOr<protocol::CopyPagesReply>& reply) {
  const absl::Status taken = machines_.at(current().segment).rebuild.Copied(reply, now());
  if (!taken.ok()) return Done(false);
  Done(node_.store_pages(current().segment, reply->pages).ok());
}

void SimGossip::ServeRepair() {
  const auto make = repairs_.at(current().segment).Next(current(), Peers(), now());
  if (!make.has_value()) return Done(false);
  const auto done = [this, is_from_peer = make->peer.has_value()](const auto& reply) {
    PageMade(reply, is_from_peer);
  };
  if (!make->peer.has_value()) return node_.read_pages(make->request, done);
  Ask<protocol::ReadPagesReply>(*make->peer, make->request, &StorageHost::ReadPages, done);
}

void SimGossip::PageMade(const absl::StatusOr<protocol::ReadPagesReply>& reply, bool is_from_peer) {
  const auto replace = repairs_.at(current().segment).Made(reply, now());
  if (!replace.has_value()) return Done(true);  // the next one in turn
  if (!replace->read_floor.has_value()) return PageReplaced(*replace, is_from_peer);
  const storage::LogStart to{.lsn = current().log_start, .read_floor = *replace->read_floor};
  node_.begin_log_at(current().segment, current().incarnation, to,
                     [this, replace = *replace, is_from_peer](const absl::Status& status) {
                       if (status.ok()) return PageReplaced(replace, is_from_peer);
                       repairs_.at(current().segment).Replaced(status, now());
                       Done(false);
                     });
}

void SimGossip::PageReplaced(const PageRepair::Replace& replace, bool is_from_peer) {
  const absl::Status status = node_.replace_page(current().segment, replace);
  repairs_.at(current().segment).Replaced(status, now());
  if (!status.ok()) return Done(false);
  sim_.Count(is_from_peer ? Rare::kPageRepairedFromPeer : Rare::kPageRepairedFromLog);
  sim_.Tell(node_.name, " pg ", current().segment.pg, ": page ", replace.page, " repaired from ",
            is_from_peer ? "a peer" : "its own log", ", as of ",
            replace.image ? replace.image->lsn : Lsn(), ", LSN ", replace.drop.value_or(Lsn()),
            " dropped");
  Done(true);
}

}  // namespace sextant::simulation
