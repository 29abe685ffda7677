// See sim_committer.h.
#include "tests/simulation/storage/sim_committer.h"

#include <algorithm>
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

void SimCommitter::Drop(storage::SegmentState remains, std::function<void(absl::Status)> done) {
  creations_.push_back({std::move(remains), std::move(done)});
  Wake();
}

void SimCommitter::ReportFatal(const absl::Status& error) {
  if (std::exchange(has_failed_, true)) return;
  out_.fatal(error);
}

void SimCommitter::Wake() {
  if (has_failed_ || std::exchange(is_busy_, true)) return;
  sim_.loop.After(kWakeUp, process_, [this] { RunRound(); });
}

bool SimCommitter::Round::HoldsSomethingOf(SegmentId segment) const {
  const auto is_of = [segment](const auto& ticket) { return ticket.first->id == segment; };
  return std::ranges::any_of(tickets, is_of) || std::ranges::any_of(room_tickets, is_of);
}

void SimCommitter::Gather() {
  for (Slot* slot : std::exchange(queue_, {})) {
    slot->is_queued = false;
    Take(slot, &round_);
  }
  for (Creation& creation : std::exchange(creations_, {})) {
    if (!creation.state.is_dropped) {
      round_.write.states.push_back(creation.state);
    } else if (round_.HoldsSomethingOf(creation.state.segment)) {
      creations_.push_back(std::move(creation));  // next time: dropping goes first in a write
      continue;
    } else {
      round_.write.dropped_segments.push_back(creation.state.segment);
      round_.write.remains.push_back(creation.state);
    }
    round_.creations.push_back(std::move(creation));
  }
}

void SimCommitter::RunRound() {
  if (has_failed_) return;
  Gather();
  Deliver();
  if (round_.room.empty()) return CommitRest(absl::OkStatus());
  disk_.Begin(std::move(round_.room));
  sim_.loop.After(disk_.WriteTime(), process_, [this] { CommitRest(disk_.End()); });
}

void SimCommitter::CommitRest(const absl::Status& room) {
  if (!room.ok() || round_.write.empty()) return Committed(room, room);
  disk_.Begin(std::move(round_.write));
  sim_.loop.After(disk_.WriteTime(), process_, [this, room] { Committed(room, disk_.End()); });
}

void SimCommitter::Committed(const absl::Status& room, const absl::Status& status) {
  if (!status.ok() && !absl::IsResourceExhausted(status)) {
    has_failed_ = true;
    return out_.fatal(status);
  }
  Settle(room, status);
  Deliver();
  is_busy_ = false;
  const bool has_more =
      !queue_.empty() || !creations_.empty() || !round_.write.empty() || !round_.room.empty();
  if (has_more) Wake();
}

void SimCommitter::Take(Slot* slot, Round* round) {
  storage::SegmentOutput output = slot->segment.TakeOutput();
  if (slot->segment.HasGap()) round->has_gap = true;
  if (slot->is_dropped && !output.persist.empty()) {  // whoever waits is answered
    slot->segment.PersistRefused(output.ticket, absl::NotFoundError("the segment was dropped"));
    storage::SegmentOutput refused = slot->segment.TakeOutput();
    MoveInto(&output.acks, &refused.acks);
    MoveInto(&output.epoch_replies, &refused.epoch_replies);
    MoveInto(&output.log_start_replies, &refused.log_start_replies);
    output.persist = {};
  }
  MoveInto(&round->acks, &output.acks);
  MoveInto(&round->epoch_replies, &output.epoch_replies);
  MoveInto(&round->log_start_replies, &output.log_start_replies);
  if (output.persist.empty()) return;
  const bool makes_room = output.persist.MakesRoom();
  storage::StoreWrite& write = makes_room ? round->room : round->write;
  MoveInto(&write.log, &output.persist.log);
  MoveInto(&write.high_water, &output.persist.high_water);
  MoveInto(&write.states, &output.persist.states);
  MoveInto(&write.log_drops, &output.persist.log_drops);
  MoveInto(&write.dropped_segments, &output.persist.dropped_segments);
  (makes_room ? round->room_tickets : round->tickets).emplace_back(slot, output.ticket);
}

void SimCommitter::Settle(const absl::Status& room, const absl::Status& status) {
  Round done = std::exchange(round_, {});
  const auto tell = [](const Tickets& tickets, const absl::Status& outcome) {
    for (const auto& [slot, ticket] : tickets) {
      if (outcome.ok()) {
        slot->segment.Persisted(ticket);
      } else {
        slot->segment.PersistRefused(ticket, outcome);
      }
    }
  };
  tell(done.room_tickets, room);
  tell(done.tickets, status);
  for (const Tickets* tickets : {&done.room_tickets, &done.tickets}) {
    for (const auto& [slot, ticket] : *tickets) Take(slot, &round_);
  }
  for (Creation& creation : done.creations) creation.done(status);
}

void SimCommitter::Deliver() {
  for (const storage::SegmentOutput::Ack& ack : std::exchange(round_.acks, {})) out_.ack(ack);
  for (auto& reply : std::exchange(round_.epoch_replies, {})) out_.epoch_reply(std::move(reply));
  for (auto& reply : std::exchange(round_.log_start_replies, {})) {
    out_.log_start_reply(std::move(reply));
  }
  if (std::exchange(round_.has_gap, false)) out_.gap();
}

}  // namespace sextant::simulation
