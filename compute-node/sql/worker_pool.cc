// See worker_pool.h.
#include "compute-node/sql/worker_pool.h"

#include <algorithm>
#include <utility>

namespace sextant::sql {

WorkerPool::WorkerPool(int threads) {
  for (int i = 0; i < std::max(threads, 1); ++i) threads_.emplace_back([this] { RunWorker(); });
  threads_.emplace_back([this] { RunTimer(); });
}

WorkerPool::~WorkerPool() {
  Stop();
  while (posting_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

void WorkerPool::Post(Work work) {
  // Counted, for the work may be what lets the pool be destroyed while this thread still notifies;
  // notified without the lock, so that who wakes does not at once wait for it.
  posting_.fetch_add(1, std::memory_order_relaxed);
  bool must_wake;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    must_wake = ShouldWakeLocked();
  }
  if (must_wake) work_arrived_.notify_one();
  posting_.fetch_sub(1, std::memory_order_release);
}

bool WorkerPool::ShouldWakeLocked() {
  if (queue_.empty() || idle_ == 0 || is_waking_) return false;
  is_waking_ = true;
  return true;
}

void WorkerPool::After(absl::Duration delay, Work work) {
  const auto when = Clock::now() + absl::ToChronoNanoseconds(delay);
  std::lock_guard lock(mutex_);
  timers_.emplace(when, std::move(work));
  timer_changed_.notify_one();
}

void WorkerPool::Stop() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    threads = std::move(threads_);
    threads_.clear();
  }
  work_arrived_.notify_all();
  timer_changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void WorkerPool::RunWorker() {
  std::unique_lock lock(mutex_);
  for (;;) {
    while (queue_.empty() && !is_stopping_) {
      ++idle_;
      work_arrived_.wait(lock);
      --idle_;
      is_waking_ = false;
    }
    if (queue_.empty()) return;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    const bool must_wake = ShouldWakeLocked();
    lock.unlock();
    if (must_wake) work_arrived_.notify_one();
    work();
    work = nullptr;  // what it holds on to goes before the lock is taken
    lock.lock();
  }
}

void WorkerPool::RunTimer() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (timers_.empty()) {
      timer_changed_.wait(lock);
      continue;
    }
    const auto first = timers_.begin();
    if (first->first > Clock::now()) {
      timer_changed_.wait_until(lock, Clock::time_point(first->first));
      continue;
    }
    queue_.push_back(std::move(first->second));
    timers_.erase(first);
    if (ShouldWakeLocked()) work_arrived_.notify_one();
  }
}

}  // namespace sextant::sql
