// QuorumWindow: records in flight to six replicas, and when each had its 4th acknowledgement.
//
// Acknowledgements are counts: "so many of yours are durable here". Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>

#include "common/base/histogram.h"

namespace sextant::bench {

inline constexpr int kReplicas = 6;
inline constexpr int kQuorum = 4;
inline constexpr size_t kRecordBytes = 256;

class QuorumWindow {
 public:
  using Clock = std::chrono::steady_clock;

  void Sent(uint64_t records) { in_flight_.insert(in_flight_.end(), records, Clock::now()); }

  // Returns how many records this acknowledgement completed.
  uint64_t Acknowledged(int replica, uint64_t durable) {
    durable_[replica] = std::max(durable_[replica], durable);  // two threads may bring two
    std::array<uint64_t, kReplicas> sorted = durable_;
    std::nth_element(sorted.begin(), sorted.begin() + kQuorum - 1, sorted.end(), std::greater<>());
    const uint64_t completed = sorted[kQuorum - 1] - completed_;
    const Clock::time_point now = Clock::now();
    for (uint64_t i = 0; i < completed; ++i) {
      latency_ns_.Record(static_cast<uint64_t>((now - in_flight_.front()).count()));
      in_flight_.pop_front();
    }
    completed_ += completed;
    return completed;
  }

  uint64_t completed() const { return completed_; }
  bool is_idle() const { return in_flight_.empty(); }
  const Histogram& latency_ns() const { return latency_ns_; }
  // Forgets what was measured, so that a warm-up does not count.
  void Restart() { latency_ns_ = Histogram(); }

 private:
  std::deque<Clock::time_point> in_flight_;  // when sent, oldest first
  std::array<uint64_t, kReplicas> durable_{};
  uint64_t completed_ = 0;
  Histogram latency_ns_;
};

}  // namespace sextant::bench
