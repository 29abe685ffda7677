// Ledger: a workload whose outcome can be judged after any crash, and the judge.
//
// Each writer thread inserts pairs: one transaction writes the rows (thread, n, 'left') and
// (thread, n, 'right'), each with padding that depends on (thread, n). Afterwards every
// acknowledged pair must be there with its bytes, and every other pair whole or absent.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace sextant::testing {

class Ledger {
 public:
  // Creates the table.
  static absl::Status Create(const std::string& endpoint);

  // Starts `threads` writers, which go on (following the writer among the nodes) until Stop().
  Ledger(std::vector<std::string> endpoints, int threads);
  Ledger(std::string endpoint, int threads)
      : Ledger(std::vector<std::string>{std::move(endpoint)}, threads) {}
  ~Ledger() { Stop(); }
  void Stop();

  // Pairs acknowledged so far.
  int64_t acknowledged() const { return acknowledged_count_.load(); }
  // Waits until `more` further pairs are acknowledged; DEADLINE_EXCEEDED after a generous minute.
  absl::Status WaitForProgress(int64_t more) const;

  // Call after Stop(). DATA_LOSS: an acknowledged pair is missing or altered; INTERNAL: a torn
  // pair.
  absl::Status Verify(const std::string& endpoint) const;

 private:
  void Run(int thread);

  const std::vector<std::string> endpoints_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> acknowledged_count_ = 0;
  mutable std::mutex mutex_;
  std::set<std::pair<int, int64_t>> acknowledged_;
  std::vector<std::thread> threads_;
};

}  // namespace sextant::testing
