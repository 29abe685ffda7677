// CommitLedger: clients that insert numbers one by one, and what they were told of them. For
// measuring how long a cluster does not answer, and what it has forgotten afterwards.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::cli {

class CommitLedger {
 public:
  // Makes its table anew, on the writer that one of `endpoints` knows of.
  static absl::Status Prepare(const std::vector<std::string>& endpoints);
  // How many of `answered` are not in the table any more, as the present writer shows it.
  static absl::StatusOr<uint64_t> CountLost(const std::vector<std::string>& endpoints,
                                            const std::set<int64_t>& answered);

  // Begins at once. Numbers start at `first`.
  CommitLedger(std::vector<std::string> endpoints, int clients, int64_t first);
  ~CommitLedger() { Stop(); }

  uint64_t answered() const { return answered_count_; }
  // When the first commit was answered that was asked for at or after `since`; null: none was.
  std::optional<absl::Time> FirstAnswered(absl::Time since) const;
  // Ends the clients; what they were told is committed.
  const std::set<int64_t>& Stop();
  int64_t next() const { return next_; }

 private:
  struct Answer {
    absl::Time asked, answered;
  };
  void Run(const std::vector<std::string>& endpoints);

  std::atomic<int64_t> next_;
  std::atomic<bool> is_over_ = false;
  std::atomic<uint64_t> answered_count_ = 0;
  mutable std::mutex mutex_;
  std::set<int64_t> answered_;
  std::vector<Answer> answers_;
  std::vector<std::thread> threads_;
};

}  // namespace sextant::cli
