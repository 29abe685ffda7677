// Await(condition): waits for another thread's or process's work; false after a generous while.
//
// For what nobody announces. The deadline only bounds a test that has failed anyway; a test must
// never depend on how long something takes.
#pragma once

#include <chrono>
#include <thread>

namespace sextant::testing {

template <typename Condition>
bool Await(Condition condition, std::chrono::seconds deadline = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace sextant::testing
