// WriteTicketQueue: who may append next. One ticket, given out first come, first served.
//
// PageVolume wants its appends serialised. SQL sessions and VolumeService share one queue, so
// neither can starve the other: a holder reads head pages, appends, and lets go without waiting for
// durability. Nothing blocks: a waiter leaves a callback, so that no thread is parked while another
// transaction is under way.
//
// Thread-safety: all methods from any thread. A ticket may be moved to and released on any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::compute {

namespace internal {
class TicketState;
}

// The right to append, held until released or destroyed. Outlives its queue harmlessly.
class WriteTicket {
 public:
  WriteTicket() = default;
  WriteTicket(WriteTicket&& other) noexcept = default;
  WriteTicket& operator=(WriteTicket&& other) noexcept;
  ~WriteTicket() { Release(); }

  // Whether this is a ticket at all: not default-constructed, moved from or released.
  bool is_held() const { return state_ != nullptr; }
  // Gives it to the next waiter, whose callback may run inside this call.
  void Release();

 private:
  friend class internal::TicketState;
  explicit WriteTicket(std::shared_ptr<internal::TicketState> state) : state_(std::move(state)) {}
  std::shared_ptr<internal::TicketState> state_;
};

class WriteTicketQueue {
 public:
  // Called once. DEADLINE_EXCEEDED: the wait was too long, nothing was appended.
  // RESOURCE_EXHAUSTED: too many wait already. UNAVAILABLE: the queue was shut down. Runs inside
  // Acquire, inside another ticket's release or on the timer's thread, with no lock held: it must
  // be cheap and hand real work to an executor. Dropping the ticket inside it is allowed and passes
  // it on.
  using Granted = std::function<void(absl::StatusOr<WriteTicket>)>;

  explicit WriteTicketQueue(size_t max_waiting = 65536);
  ~WriteTicketQueue();  // Shutdown()
  WriteTicketQueue(const WriteTicketQueue&) = delete;
  WriteTicketQueue& operator=(const WriteTicketQueue&) = delete;

  // Asks for the ticket; at once if it is free and nobody waits.
  void Acquire(absl::Duration timeout, Granted granted);
  // The same, blocking: for callers with a thread of their own.
  absl::StatusOr<WriteTicket> AcquireBlocking(absl::Duration timeout);
  // How many wait; the holder not counted.
  size_t waiting() const;
  // Refuses all waiters and all later calls with UNAVAILABLE. The present holder keeps its ticket.
  void Shutdown();

 private:
  std::shared_ptr<internal::TicketState> state_;
};

}  // namespace sextant::compute
