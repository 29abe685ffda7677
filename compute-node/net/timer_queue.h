// TimerQueue: one thread that calls functions later. Hedged reads, reconnects and the writer's
// tick.
//
// Thread-safety: all methods from any thread, callbacks included. Callbacks run one at a time on
// the timer's thread and must be short.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "absl/time/time.h"
#include "common/base/instant.h"

namespace sextant::compute {

class TimerQueue {
 public:
  // Names a timer until it has fired; never 0.
  using Id = uint64_t;

  TimerQueue();
  ~TimerQueue();  // Shutdown()
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // Calls `fn` once, `delay` from now. After Shutdown: never.
  Id After(absl::Duration delay, std::function<void()> fn);
  // True: it had not started and never will. Does not wait for one that has started.
  bool Cancel(Id id);
  // Forgets all timers; no callback runs after it returns, unless it was called from one.
  void Shutdown();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::pair<Instant, Id>, std::function<void()>> timers_;
  std::map<Id, Instant> due_;  // of exactly those in timers_
  Id next_ = 1;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace sextant::compute
