// See timer_queue.h.
#include "compute-node/net/timer_queue.h"

#include <utility>

#include "common/rpc/clock.h"

namespace sextant::compute {

TimerQueue::TimerQueue() : thread_([this] { Run(); }) {}

TimerQueue::~TimerQueue() {
  Shutdown();
  if (thread_.joinable()) thread_.join();
}

TimerQueue::Id TimerQueue::After(absl::Duration delay, std::function<void()> fn) {
  const Instant due = rpc::SteadyNow() + delay;
  std::lock_guard lock(mutex_);
  const Id id = next_++;
  if (is_stopping_) return id;
  const auto added = timers_.emplace(std::pair(due, id), std::move(fn)).first;
  due_.emplace(id, due);
  if (added == timers_.begin()) wake_.notify_one();
  return id;
}

bool TimerQueue::Cancel(Id id) {
  std::function<void()>
      cancelled;  // destroyed outside the lock: it may own things that use this queue
  std::lock_guard lock(mutex_);
  const auto found = due_.find(id);
  if (found == due_.end()) return false;
  const auto timer = timers_.find({found->second, id});
  cancelled = std::move(timer->second);
  timers_.erase(timer);
  due_.erase(found);
  return true;
}

void TimerQueue::Shutdown() {
  std::map<std::pair<Instant, Id>, std::function<void()>> forgotten;
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    forgotten.swap(timers_);
    due_.clear();
    wake_.notify_one();
  }
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

void TimerQueue::Run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (timers_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto first = timers_.begin();
    const absl::Duration left = first->first.first - rpc::SteadyNow();
    if (left > absl::ZeroDuration()) {
      wake_.wait_for(lock, absl::ToChronoNanoseconds(left));
      continue;
    }
    auto fn = std::move(first->second);
    due_.erase(first->first.second);
    timers_.erase(first);
    lock.unlock();
    fn();
    fn = nullptr;
    lock.lock();
  }
}

}  // namespace sextant::compute
