// See committer.h.
#include "storage-node/server/committer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "absl/time/time.h"
#include "common/rpc/tuned_grpc.h"

namespace sextant::storage {
namespace {

// A sync that takes longer is waited for on the committer's own thread, as is the next one: reads,
// probes and whatever else comes in wait for gRPC's.
constexpr absl::Duration kQuickSync = absl::Milliseconds(2);

template <typename T>
void MoveInto(std::vector<T>* to, std::vector<T>* from) {
  to->insert(to->end(), std::make_move_iterator(from->begin()),
             std::make_move_iterator(from->end()));
  from->clear();
}

}  // namespace

Committer::Committer(const StorageNodeOptions& options, SegmentStore* store, AnswerRouter* answers,
                     NodeCounters* counters, StorageNode::FatalHandler on_fatal)
    : max_backlog_bytes_(options.max_pending_bytes),
      observe_commit_(options.observe_commit),
      store_(store),
      answers_(answers),
      counters_(counters),
      on_fatal_(std::move(on_fatal)),
      thread_([this] { Run(); }) {}

Committer::~Committer() {
  std::unique_lock<std::mutex> lock(mutex_);
  is_stopping_ = true;
  Wake(std::move(lock));
  thread_.join();
}

void Committer::Wake(std::unique_lock<std::mutex> lock) {
  const bool is_waiting = is_waiting_ && !is_at_poller_;
  lock.unlock();
  if (is_waiting) work_.notify_one();
}

void Committer::Enqueue(SegmentSlot* slot) {
  if (slot->is_queued.exchange(true)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  queue_.slots.push_back(slot);
  if (is_at_poller_) return;  // the round there, or after it, takes it along
  const bool may_run_here = is_waiting_ && is_quick_.load(std::memory_order_relaxed);
  if (may_run_here && rpc::WhenPollerIsIdle([this] { RunAtPoller(); })) {
    is_at_poller_ = true;
    return;
  }
  Wake(std::move(lock));
}

void Committer::Create(SegmentState state, std::function<void(absl::Status)> done) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (has_failed() || is_stopping_) {
    lock.unlock();
    done(absl::UnavailableError("the storage node is stopping"));
    return;
  }
  queue_.creations.push_back({std::move(state), std::move(done)});
  Wake(std::move(lock));
}

void Committer::Drop(SegmentState remains, std::function<void(absl::Status)> done) {
  std::unique_lock<std::mutex> lock(mutex_);
  queue_.creations.push_back({std::move(remains), std::move(done)});
  Wake(std::move(lock));
}

void Committer::ReportFatal(absl::Status error) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (queue_.fatal.ok()) queue_.fatal = std::move(error);
  Wake(std::move(lock));
}

void Committer::SetGapHook(std::function<void()> hook) {
  std::lock_guard<std::mutex> lock(gap_hook_mutex_);
  gap_hook_ = std::move(hook);
}

void Committer::CallGapHook() {
  std::lock_guard<std::mutex> lock(gap_hook_mutex_);
  if (gap_hook_) gap_hook_();
}

bool Committer::ReserveBacklog(uint64_t bytes) {
  const uint64_t before = backlog_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= max_backlog_bytes_) return true;
  backlog_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

void Committer::Run() {
  Round round;
  Queue queue;
  while (WaitForWork(round, &queue)) {
    if (!RunRound(std::exchange(queue, {}), &round)) return;
  }
}

void Committer::RunAtPoller() {
  std::unique_lock<std::mutex> lock(mutex_);
  Queue queue = std::exchange(queue_, {});
  lock.unlock();
  Round round;
  bool goes_on = RunRound(std::move(queue), &round);
  while (goes_on && !round.is_empty()) goes_on = RunRound({}, &round);
  lock.lock();
  is_at_poller_ = false;
  // With the lock held: the thread may be all that keeps this object, and leave.
  if (!queue_.empty() || is_stopping_ || !goes_on) work_.notify_one();
}

bool Committer::RunRound(Queue queue, Round* round) {
  absl::Status fatal = std::exchange(queue.fatal, absl::OkStatus());
  Gather(std::move(queue), round);
  Deliver(round);  // refusals and answers that depend on nothing
  if (fatal.ok()) {
    const absl::Status room = round->room.empty() ? absl::OkStatus() : Commit(round->room);
    absl::Status status = room;
    if (room.ok() && !round->write.empty()) {
      status = Commit(round->write);
      TellOfRoom(status);
    }
    if (status.ok() || absl::IsResourceExhausted(status)) {
      *round = Settle(std::move(*round), room, status);
      Deliver(round);
      return true;
    }
    fatal = status;
  }
  Fail(fatal, std::move(*round));
  return false;
}

bool Committer::WaitForWork(const Round& round, Queue* queue) {
  std::unique_lock<std::mutex> lock(mutex_);
  is_waiting_ = true;
  work_.wait(lock, [&] {
    const bool is_over = is_stopping_ || has_failed();
    return !is_at_poller_ && (!queue_.empty() || !round.is_empty() || is_over);
  });
  is_waiting_ = false;
  if (has_failed()) return false;
  if (queue_.empty() && round.is_empty()) return false;
  *queue = std::exchange(queue_, {});
  return true;
}

void Committer::Gather(Queue queue, Round* round) {
  for (SegmentSlot* slot : queue.slots) {
    slot->is_queued.store(false);  // before looking: what comes later queues it again
    std::lock_guard<std::mutex> lock(slot->mutex);
    Take(slot, round);
  }
  for (Creation& creation : queue.creations) {
    if (!creation.state.is_dropped) {
      round->write.states.push_back(creation.state);
    } else if (round->HoldsSomethingOf(creation.state.segment)) {
      // Within one write what is dropped goes first: what was taken before would outlive it.
      std::lock_guard<std::mutex> lock(mutex_);
      queue_.creations.push_back(std::move(creation));
      continue;
    } else {
      round->write.dropped_segments.push_back(creation.state.segment);
      round->write.remains.push_back(creation.state);
    }
    round->creations.push_back(std::move(creation));
  }
}

bool Committer::Round::HoldsSomethingOf(SegmentId segment) const {
  const auto is_of = [segment](const auto& ticket) { return ticket.first->id == segment; };
  return std::ranges::any_of(tickets, is_of) || std::ranges::any_of(room_tickets, is_of);
}

void Committer::Take(SegmentSlot* slot, Round* round) {
  SegmentOutput output = slot->segment.TakeOutput();
  if (slot->segment.HasGap()) round->has_gap = true;
  round->backlog_bytes += std::exchange(slot->untaken_bytes, 0);
  MoveInto(&round->acks, &output.acks);
  MoveInto(&round->epoch_replies, &output.epoch_replies);
  MoveInto(&round->log_start_replies, &output.log_start_replies);
  if (output.persist.empty()) return;
  if (slot->is_dropped) return Forget(slot, output.ticket, round);
  const bool makes_room = output.persist.MakesRoom();
  StoreWrite& write = makes_room ? round->room : round->write;
  MoveInto(&write.log, &output.persist.log);
  MoveInto(&write.high_water, &output.persist.high_water);
  MoveInto(&write.states, &output.persist.states);
  MoveInto(&write.log_drops, &output.persist.log_drops);
  MoveInto(&write.dropped_segments, &output.persist.dropped_segments);
  (makes_room ? round->room_tickets : round->tickets).emplace_back(slot, output.ticket);
}

// Nothing of it is stored any more, but whoever waits is answered.
void Committer::Forget(SegmentSlot* slot, PersistTicket ticket, Round* round) {
  slot->segment.PersistRefused(ticket, absl::NotFoundError("the segment was dropped"));
  SegmentOutput output = slot->segment.TakeOutput();
  MoveInto(&round->acks, &output.acks);
  MoveInto(&round->epoch_replies, &output.epoch_replies);
  MoveInto(&round->log_start_replies, &output.log_start_replies);
}

absl::Status Committer::Commit(const StoreWrite& write) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = store_->Commit(write);
  if (!status.ok()) return status;
  const absl::Duration took = absl::FromChrono(std::chrono::steady_clock::now() - start);
  is_quick_.store(took < kQuickSync, std::memory_order_relaxed);
  counters_->commits.Add();
  if (observe_commit_) observe_commit_(took);
  return status;
}

void Committer::TellOfRoom(const absl::Status& status) {
  const bool is_full = absl::IsResourceExhausted(status);
  if (std::exchange(is_full_, is_full) == is_full) return;
  if (is_full) {
    spdlog::warn("no room on the disk, batches are refused until there is: {}", status.ToString());
  } else {
    spdlog::info("there is room on the disk again: takes batches");
  }
}

void Committer::Tell(const Tickets& tickets, const absl::Status& status) {
  for (const auto& [slot, ticket] : tickets) {
    std::lock_guard<std::mutex> lock(slot->mutex);
    if (status.ok()) {
      slot->segment.Persisted(ticket);
    } else {
      slot->segment.PersistRefused(ticket, status);
    }
  }
}

Committer::Round Committer::Settle(Round round, const absl::Status& room_status,
                                   const absl::Status& status) {
  Round next;
  // A segment lets its log begin later before it hands out anything else.
  Tell(round.room_tickets, room_status);
  Tell(round.tickets, status);
  // Only now: a segment may have two tickets in the round, and refusing the second must not meet a
  // third one.
  for (const Tickets* tickets : {&round.room_tickets, &round.tickets}) {
    for (const auto& [slot, ticket] : *tickets) {
      std::lock_guard<std::mutex> lock(slot->mutex);
      Take(slot, &next);
    }
  }
  for (Creation& creation : round.creations) creation.done(status);
  backlog_bytes_.fetch_sub(round.backlog_bytes, std::memory_order_relaxed);
  return next;
}

void Committer::Deliver(Round* round) {
  for (const SegmentOutput::Ack& ack : round->acks) {
    if (absl::IsFailedPrecondition(ack.ack.status)) counters_->refused_fenced.Add();
    if (absl::IsResourceExhausted(ack.ack.status)) counters_->refused_no_space.Add();
  }
  if (!round->acks.empty()) answers_->DeliverAcks(std::exchange(round->acks, {}));
  for (SegmentOutput::EpochReply& reply : round->epoch_replies) {
    answers_->DeliverRaise(std::move(reply));
  }
  round->epoch_replies.clear();
  for (SegmentOutput::LogStartReply& reply : round->log_start_replies) {
    answers_->DeliverLogStart(std::move(reply));
  }
  round->log_start_replies.clear();
  if (std::exchange(round->has_gap, false)) CallGapHook();
}

void Committer::Fail(const absl::Status& error, Round round) {
  std::vector<Creation> creations = std::move(round.creations);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    has_failed_.store(true, std::memory_order_release);
    MoveInto(&creations, &queue_.creations);
  }
  on_fatal_(error);
  for (Creation& creation : creations) creation.done(error);
  answers_->AbandonAll(error);
}

}  // namespace sextant::storage
