// See sim_committer.h.
#include "tests/simulation/storage/sim_committer.h"

#include <iterator>

namespace sextant::simulation {
namespace {

constexpr absl::Duration kWakeUp = absl::Microseconds(10);  // of a thread

template <typename T>
void MoveInto(std::vector<T>* to, std::vector<T>* from) {
  to->insert(to->end(), std::make_move_iterator(from->begin()),
             std::make_move_iterator(from->end()));
  from->clear();
}

}  // namespace

void SimCommitter::Enqueue(Slot* slot) {
  if (std::exchange(slot->is_queued, true)) return;
  queue_.push_back(slot);
  Wake();
}

void SimCommitter::Create(storage::SegmentState state, std::function<void(absl::Status)> done) {
  creations_.push_back({std::move(state), std::move(done)});
  Wake();
}

void SimCommitter::Wake() {
  if (has_failed_ || std::exchange(is_busy_, true)) return;
  sim_.loop.After(kWakeUp, process_, [this] { RunRound(); });
}

void SimCommitter::RunRound() {
  for (Slot* slot : std::exchange(queue_, {})) {
    slot->is_queued = false;
    Take(slot, &round_);
  }
  for (Creation& creation : std::exchange(creations_, {})) {
    round_.write.states.push_back(creation.state);
    round_.creations.push_back(std::move(creation));
  }
  Deliver();
  if (round_.write.empty()) return Committed(absl::OkStatus());
  disk_.Begin(std::move(round_.write));
  sim_.loop.After(disk_.WriteTime(), process_, [this] { Committed(disk_.End()); });
}

void SimCommitter::Committed(const absl::Status& status) {
  if (!status.ok() && !absl::IsResourceExhausted(status)) {
    has_failed_ = true;
    return out_.fatal(status);
  }
  Settle(status);
  Deliver();
  is_busy_ = false;
  if (!queue_.empty() || !creations_.empty() || !round_.write.empty()) Wake();
}

void SimCommitter::Take(Slot* slot, Round* round) {
  storage::SegmentOutput output = slot->segment.TakeOutput();
  if (slot->segment.HasGap()) round->has_gap = true;
  MoveInto(&round->acks, &output.acks);
  MoveInto(&round->epoch_replies, &output.epoch_replies);
  if (output.persist.empty()) return;
  MoveInto(&round->write.log, &output.persist.log);
  MoveInto(&round->write.high_water, &output.persist.high_water);
  MoveInto(&round->write.states, &output.persist.states);
  MoveInto(&round->write.log_drops, &output.persist.log_drops);
  MoveInto(&round->write.dropped_segments, &output.persist.dropped_segments);
  round->tickets.emplace_back(slot, output.ticket);
}

void SimCommitter::Settle(const absl::Status& status) {
  Round done = std::exchange(round_, {});
  for (const auto& [slot, ticket] : done.tickets) {
    if (status.ok()) {
      slot->segment.Persisted(ticket);
    } else {
      slot->segment.PersistRefused(ticket, status);
    }
  }
  for (const auto& [slot, ticket] : done.tickets) Take(slot, &round_);
  for (Creation& creation : done.creations) creation.done(status);
}

void SimCommitter::Deliver() {
  for (const storage::SegmentOutput::Ack& ack : std::exchange(round_.acks, {})) out_.ack(ack);
  for (auto& reply : std::exchange(round_.epoch_replies, {})) out_.epoch_reply(std::move(reply));
  if (std::exchange(round_.has_gap, false)) out_.gap();
}

}  // namespace sextant::simulation
