// See write_ticket.h. One list of waiters, one thread for their deadlines.
#include "compute-node/writer/write_ticket.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace sextant::compute {
namespace internal {

using Clock = std::chrono::steady_clock;

// Shared by the queue and every ticket, so that a ticket may be dropped after its queue.
class TicketState : public std::enable_shared_from_this<TicketState> {
 public:
  explicit TicketState(size_t max_waiting) : max_waiting_(max_waiting) {}

  void StartTimer() {
    timer_ = std::thread([this] { RunTimer(); });
  }

  void Acquire(absl::Duration timeout, WriteTicketQueue::Granted granted) {
    absl::Status refusal;
    {
      std::lock_guard lock(mutex_);
      if (is_shut_down_) {
        refusal = absl::UnavailableError("this node is shutting down: retry on another");
      } else if (waiters_.size() >= max_waiting_) {
        refusal = absl::ResourceExhaustedError("too many transactions wait to write: retry later");
      } else {
        const uint64_t ticket = next_++;
        const auto deadline = DeadlineAfter(timeout);
        // The timer sleeps until the earliest deadline; only a new earliest one must wake it.
        const bool is_earliest = deadlines_.empty() || deadline < deadlines_.begin()->first;
        const bool must_wait = is_held_ || !waiters_.empty();
        const auto timer = deadlines_.emplace(deadline, ticket);
        waiters_.emplace(ticket, Waiter{std::move(granted), timer});
        if (must_wait && is_earliest) wake_.notify_one();
      }
    }
    if (!refusal.ok()) return granted(std::move(refusal));
    Dispatch();
  }

  void Release() {
    {
      std::lock_guard lock(mutex_);
      is_held_ = false;
    }
    Dispatch();
  }

  void Shutdown() {
    std::map<uint64_t, Waiter> refused;
    {
      std::lock_guard lock(mutex_);
      is_shut_down_ = true;
      refused.swap(waiters_);
      deadlines_.clear();
      wake_.notify_one();
    }
    for (auto& [ticket, waiter] : refused) {
      waiter.granted(absl::UnavailableError("this node is shutting down: retry on another"));
    }
    if (timer_.joinable()) timer_.join();
  }

  size_t waiting() const {
    std::lock_guard lock(mutex_);
    return waiters_.size();
  }

 private:
  using Deadlines = std::multimap<Clock::time_point, uint64_t>;
  struct Waiter {
    WriteTicketQueue::Granted granted;
    Deadlines::iterator timer;
  };

  static Clock::time_point DeadlineAfter(absl::Duration timeout) {
    constexpr auto kLongest = absl::Hours(24 * 365);
    return Clock::now() + absl::ToChronoNanoseconds(std::min(timeout, kLongest));
  }

  // Hands the ticket to the longest waiter. One thread at a time loops here; a release inside a
  // callback is seen by the loop that called it, so that a chain of quick holders does not nest.
  void Dispatch() {
    std::unique_lock lock(mutex_);
    if (is_dispatching_) return;
    is_dispatching_ = true;
    while (!is_held_ && !waiters_.empty()) {
      auto first = waiters_.begin();
      auto granted = std::move(first->second.granted);
      deadlines_.erase(first->second.timer);
      waiters_.erase(first);
      is_held_ = true;
      lock.unlock();
      granted(WriteTicket(shared_from_this()));
      granted = nullptr;
      lock.lock();
    }
    is_dispatching_ = false;
  }

  void RunTimer() {
    std::unique_lock lock(mutex_);
    while (!is_shut_down_) {
      if (deadlines_.empty()) {
        wake_.wait(lock);
        continue;
      }
      const auto [deadline, ticket] = *deadlines_.begin();
      if (deadline > Clock::now()) {
        wake_.wait_until(lock, deadline);
        continue;
      }
      auto late = waiters_.extract(ticket);
      deadlines_.erase(deadlines_.begin());
      lock.unlock();
      late.mapped().granted(
          absl::DeadlineExceededError("waited too long for the write ticket: another transaction "
                                      "held it; nothing was written"));
      lock.lock();
    }
  }

  const size_t max_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<uint64_t, Waiter> waiters_;  // by arrival
  Deadlines deadlines_;                 // of exactly the waiters
  uint64_t next_ = 1;
  bool is_held_ = false;
  bool is_dispatching_ = false;
  bool is_shut_down_ = false;
  std::thread timer_;
};

}  // namespace internal

WriteTicket& WriteTicket::operator=(WriteTicket&& other) noexcept {
  if (this != &other) {
    Release();
    state_ = std::move(other.state_);
  }
  return *this;
}

void WriteTicket::Release() {
  if (auto state = std::exchange(state_, nullptr)) state->Release();
}

WriteTicketQueue::WriteTicketQueue(size_t max_waiting)
    : state_(std::make_shared<internal::TicketState>(max_waiting)) {
  state_->StartTimer();
}

WriteTicketQueue::~WriteTicketQueue() { Shutdown(); }

void WriteTicketQueue::Acquire(absl::Duration timeout, Granted granted) {
  state_->Acquire(timeout, std::move(granted));
}

absl::StatusOr<WriteTicket> WriteTicketQueue::AcquireBlocking(absl::Duration timeout) {
  // Shared: the callback runs before get() returns, but may still be unwinding then.
  auto promise = std::make_shared<std::promise<absl::StatusOr<WriteTicket>>>();
  auto future = promise->get_future();
  Acquire(timeout,
          [promise](absl::StatusOr<WriteTicket> ticket) { promise->set_value(std::move(ticket)); });
  return future.get();
}

size_t WriteTicketQueue::waiting() const { return state_->waiting(); }

void WriteTicketQueue::Shutdown() { state_->Shutdown(); }

}  // namespace sextant::compute
