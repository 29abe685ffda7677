// See sim_gossip.h.
#include "tests/simulation/storage/sim_gossip.h"

#include <algorithm>
#include <utility>

namespace sextant::simulation {

void SimGossip::Wake() {
  is_woken_ = true;
  if (!is_looking_) Look();
}

void SimGossip::Look() {
  is_looking_ = true;
  is_woken_ = is_lacking_ = is_progress_ = false;
  statuses_ = node_.statuses();
  index_ = 0;
  LookAtNext();
}

void SimGossip::LookAtNext() {
  for (; index_ < statuses_.size(); ++index_) {
    const protocol::SegmentStatus& status = current();
    if (!storage::Gossip::IsLacking(status)) {
      machines_.erase(status.segment);
      continue;
    }
    is_lacking_ = true;
    const Prng prng(process_.value() * 7919 + status.segment.pg.value());
    storage::Gossip& gossip =
        machines_.try_emplace(status.segment, plan_.machine, prng).first->second;
    std::vector<quorum::Slot> peers;
    for (size_t slot = 0; slot < status.membership.members.size(); ++slot) {
      if (slot != status.slot) peers.push_back(static_cast<quorum::Slot>(slot));
    }
    const auto ask = gossip.Next(status, peers, now());
    if (!ask.has_value()) continue;
    request_ = ask->request;
    scl_ = status.scl;
    const std::string peer = status.membership.members[ask->peer].node;
    ++requests_;
    if (now() < rests_[peer]) return Finish();
    const bool is_asked = node_.ask(peer, ask->request,
                                    [this, peer](auto reply) { Answered(peer, std::move(reply)); });
    return is_asked ? void() : Finish();
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

void SimGossip::Answered(const std::string& peer,
                         const absl::StatusOr<protocol::ReadLogReply>& reply) {
  if (absl::IsUnavailable(reply.status()) || absl::IsDeadlineExceeded(reply.status())) {
    rests_[peer] = now() + plan_.peer_rest;
  }
  if (!reply.ok()) return Finish();
  auto batches = storage::GossipBatches(current(), request_, *reply);
  if (!batches.ok()) return Finish();
  batches_ = *std::move(batches);
  next_batch_ = 0;
  AppendNext();
}

void SimGossip::AppendNext() {
  if (next_batch_ == batches_.size()) return Finish();
  waiting_ = ++appended_;
  sim_.loop.After(plan_.patience, process_, [this, number = waiting_] {
    if (waiting_ == number) Finish();
  });
  node_.append(batches_[next_batch_++].bytes);
}

void SimGossip::Acked(const protocol::AppendAck& ack) {
  if (std::exchange(waiting_, 0) == 0) return;
  if (!ack.status.ok()) return Finish();  // the epoch has moved on, or there is no room
  scl_ = ack.scl;
  AppendNext();
}

void SimGossip::Finish() {
  waiting_ = 0;
  batches_.clear();
  const protocol::SegmentStatus& status = current();
  machines_.at(status.segment).Finished(scl_, now());
  if (scl_ > status.scl) {
    is_progress_ = true;
    sim_.Count(Rare::kGossipFilledHole);
    sim_.Tell(status.membership.members[status.slot].node, " pg ", status.segment.pg,
              ": gossip brought ", status.scl, " to ", scl_);
  }
  ++index_;
  LookAtNext();
}

}  // namespace sextant::simulation
