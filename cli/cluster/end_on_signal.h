// EndOnSignal: a run that somebody ends (SIGINT, SIGTERM, SIGHUP) leaves no server behind.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

namespace sextant::cli {

// While it lives, SIGINT, SIGTERM and SIGHUP make a thread of its own call `end` with the signal,
// and end the process with 128 and its number. Threads that were there before may still take the
// signal: make it early.
class EndOnSignal {
 public:
  explicit EndOnSignal(std::function<void(int signal)> end);
  ~EndOnSignal();
  EndOnSignal(const EndOnSignal&) = delete;

 private:
  const std::function<void(int)> end_;
  sigset_t ours_, before_;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

}  // namespace sextant::cli
