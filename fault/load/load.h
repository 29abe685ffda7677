// Load: several clients at work on a cluster, each writing down what it asked and what it was told.
//
// Every client draws transactions over lists, single registers and transfers of a bank, as atomic
// requests and as interactive transactions; some clients only read. Keys are left behind after a
// few hundred operations, which keeps lists short and the judges fast.
//
// Thread-safety: all methods from one thread, but for samples and counters.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/prng.h"
#include "fault/load/record.h"

namespace sextant::fault {

inline constexpr int kAccounts = 10;
inline constexpr int64_t kBankTotal = kAccounts * 100;

struct LoadOptions {
  std::vector<std::string> writers;  // endpoints of those that lead or may lead
  std::vector<std::string> readers;  // of readers; may be empty. Writing clients ask them too, by
                                     // token: they must see their own writes there
  // Those in `writers` may be readers at times: a session is kept only with one that takes writes.
  bool writers_move = false;
  bool has_exact_lsns = true;  // of reads; otherwise they are upper bounds (binlog mode)
  int clients = 4;             // that write; as many again as there are readers only read
  uint64_t seed = 1;
  int64_t first_key = 0;                      // of this round, beyond those of all before
  int64_t first_value = 1;                    // likewise
  int first_session = 0;                      // likewise
  absl::Duration timeout = absl::Seconds(5);  // of one request
};

class LoadClient;

class Load {
 public:
  // Makes the tables and the bank, if they are not there, at the one that takes writes. Tries again
  // until `timeout`.
  static absl::Status Prepare(const std::vector<std::string>& endpoints, absl::Duration timeout);

  explicit Load(LoadOptions options);
  ~Load();

  void Start();
  // Waits for requests under way; those of clients without an answer for minutes are given up.
  void Stop();

  // Since Start; from any thread.
  int64_t commits() const { return commits_.load(); }
  int64_t reads() const { return reads_.load(); }
  // Those so far from number `from` on; from any thread.
  std::vector<Sample> SamplesFrom(size_t from) const;

  // After Stop(). Reads everything that the round wrote, as one transaction at the leader, into the
  // record. The checksum of what it read tells rounds apart later.
  absl::StatusOr<uint32_t> ReadAll(absl::Duration timeout);
  const LoadRecord& record() const { return record_; }
  // For the round after.
  int64_t next_key() const;
  int64_t next_value() const { return next_value_.load(); }
  int next_session() const { return next_session_.load(); }

  // The checksum of the keys from `first` up to `end`, as ReadAll made it.
  static absl::StatusOr<uint32_t> Checksum(const std::vector<std::string>& endpoints, int64_t first,
                                           int64_t end, absl::Duration timeout);

 private:
  friend class LoadClient;
  void Add(const Sample& sample);

  const LoadOptions options_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> commits_ = 0, reads_ = 0;
  std::atomic<int64_t> appends_ = 0, register_ops_ = 0;  // they move the windows of keys on
  std::atomic<int64_t> next_value_;
  std::atomic<int> next_session_;
  mutable std::mutex samples_mutex_;
  std::vector<Sample> samples_;
  std::vector<std::unique_ptr<LoadClient>> clients_;
  LoadRecord record_;
};

}  // namespace sextant::fault
