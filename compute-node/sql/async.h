// Coroutines for sessions: a statement waits for its ticket or its commit without holding a thread.
//
//   Task<T>       a coroutine that another one awaits; it starts when awaited
//   Spawn(task)   runs a Task<void> that nobody awaits
//   Callback<T>   awaits a function that calls back once, on any thread, perhaps at once
//
// A coroutine goes on where the callback ran, or on a pool if one is given; what completes at once
// goes on in place, so a loop of such awaits uses no stack. A coroutine runs on one thread at a
// time.
#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "compute-node/sql/worker_pool.h"

namespace sextant::sql {
namespace internal {

// Two parties, one of whom comes last: the waiter that suspends, and the work that completes. The
// last one is told so and carries on.
class Rendezvous {
 public:
  bool ArriveLast() { return has_one_.exchange(true, std::memory_order_acq_rel); }

 private:
  std::atomic<bool> has_one_{false};
};

struct PromiseBase {
  std::coroutine_handle<> waiter;
  Rendezvous rendezvous;

  std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> self) noexcept {
      const std::coroutine_handle<> waiter = self.promise().waiter;
      // Arriving first, *self may be gone right after: touch nothing.
      if (self.promise().rendezvous.ArriveLast()) waiter.resume();
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  void return_value(T v) { value.emplace(std::move(v)); }
  T Take() { return *std::move(value); }
};
template <>
struct Promise<void> : PromiseBase {
  void return_void() {}
  void Take() {}
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type : internal::Promise<T> {
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    promise_type& promise = handle_.promise();
    promise.waiter = waiter;
    handle_.resume();
    return !promise.rendezvous.ArriveLast();  // last: it is done already, go on in place
  }
  T await_resume() { return handle_.promise().Take(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace internal {

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

}  // namespace internal

// Starts `task` on this thread; it lives until it is done.
inline internal::Detached Spawn(Task<void> task) { co_await task; }

template <typename T>
class [[nodiscard]] Callback {
 public:
  using Done = std::function<void(T)>;

  // `start` is called once, with a function to be called once. `resume_on`: where to go on if it
  // was not called at once; null: on the thread that calls.
  Callback(std::function<void(Done)> start, WorkerPool* resume_on)
      : start_(std::move(start)), resume_on_(resume_on) {}
  Callback(const Callback&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    const auto start = std::move(start_);
    start([this](T value) {
      value_.emplace(std::move(value));
      const std::coroutine_handle<> waiter = waiter_;
      WorkerPool* const pool = resume_on_;
      if (!rendezvous_.ArriveLast()) return;
      if (pool != nullptr) {
        pool->Post([waiter] { waiter.resume(); });
      } else {
        waiter.resume();
      }
    });
    return !rendezvous_.ArriveLast();
  }
  T await_resume() { return *std::move(value_); }

 private:
  std::function<void(Done)> start_;
  WorkerPool* const resume_on_;
  std::coroutine_handle<> waiter_;
  internal::Rendezvous rendezvous_;
  std::optional<T> value_;
};

}  // namespace sextant::sql
