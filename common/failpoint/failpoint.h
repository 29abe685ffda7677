// Failpoint: a named place of a server at which a fault can be planted. Off unless a flag says so.
//
//   Failpoint store_sync("store-sync");            // at namespace scope
//   RETURN_IF_ERROR(store_sync.Hit());             // where it is to happen
//
//   --failpoint store-sync=error@50                // from the 50th time on
//   --failpoint store-synced=crash@7               // kill -9 of itself, the 7th time
//   --failpoint store-sync=delay:20                // 20 ms, every time
//   --failpoint ack-before-sync=on                 // whatever stands behind IsOn()
//
// One that is off costs a relaxed load. Thread-safety: all methods from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sextant {

class Failpoint {
 public:
  // `name`: a literal; unique in the process. Lives as long as the process.
  explicit Failpoint(const char* name);

  // The error that is planted here (UNAVAILABLE), if it is its turn. May end the process, or sleep.
  absl::Status Hit() {
    return is_armed_.load(std::memory_order_relaxed) ? Act() : absl::OkStatus();
  }
  // A fault that the caller itself commits.
  bool IsOn() { return is_armed_.load(std::memory_order_relaxed) && IsTurn(); }

  const char* name() const { return name_; }

 private:
  friend absl::Status ArmFailpoint(const std::string& spec);
  enum class Action { kError, kCrash, kDelay, kOn };
  absl::Status Act();
  bool IsTurn() { return hits_.fetch_add(1, std::memory_order_relaxed) + 1 >= from_; }

  const char* const name_;
  std::atomic<bool> is_armed_ = false;
  std::atomic<uint64_t> hits_ = 0;
  // Set before it is armed.
  Action action_ = Action::kError;
  uint64_t from_ = 1;  // the first hit that it acts upon
  int delay_ms_ = 0;
};

// "NAME=ACTION[@N]". INVALID_ARGUMENT: no such place in this binary, or no such action.
absl::Status ArmFailpoint(const std::string& spec);

// All places of this binary, in order.
std::vector<std::string> FailpointNames();

}  // namespace sextant
