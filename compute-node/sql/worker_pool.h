// WorkerPool: the fixed set of threads that runs statements, and a timer that hands them work
// later.
//
// A thread blocks only in a page miss (one round trip), never on the write ticket or a commit.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace sextant::sql {

class WorkerPool {
 public:
  using Work = std::function<void()>;

  // At least one thread.
  explicit WorkerPool(int threads);
  ~WorkerPool();  // Stop()
  WorkerPool(const WorkerPool&) = delete;

  void Post(Work work);
  // Posts `work` when `delay` has passed; dropped if the pool stops first.
  void After(absl::Duration delay, Work work);
  // Runs what has been posted, then ends the threads. What is posted later is never run.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;

  void RunWorker();
  void RunTimer();
  // Whether the caller has to notify a worker. One at a time is on its way: having taken work, it
  // wakes the next if there is more. So a burst wakes as many as the cores can run, not all, and
  // while work waits and a worker is idle, one is on its way.
  bool ShouldWakeLocked();

  std::mutex mutex_;
  std::condition_variable work_arrived_, timer_changed_;
  std::deque<Work> queue_;
  int idle_ = 0;            // workers that wait
  bool is_waking_ = false;  // one of them was notified and has not looked yet
  std::multimap<Clock::time_point, Work> timers_;
  bool is_stopping_ = false;
  std::atomic<int> posting_{0};  // threads inside Post
  std::vector<std::thread> threads_;
};

}  // namespace sextant::sql
