// WitnessFiles: the two files that hold a node's Witness (witness.h), and the thread that keeps
// them near.
//
// witness.0 and witness.1 hold the same, each whole with a CRC, and are written in place, one after
// the other, each synced before the next: a crash can tear one of them, and damage to one leaves
// the other. A change of states is in both before Commit returns. Marks alone are written in the
// background, by turns, at most every 100 ms while there is news, until both have them; an append
// never waits for that.
//
// Thread-safety: Commit by one thread at a time, the queries by any.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage-node/store/witness.h"

namespace rocksdb {
class Env;
}

namespace sextant::storage {

class WitnessFiles {
 public:
  // `on_error`: called, once, if a write in the background fails.
  WitnessFiles(rocksdb::Env* env, std::string directory,
               std::function<void(absl::Status)> on_error);
  // Writes what is not in both files yet.
  ~WitnessFiles();

  // The newer of the files that can be read. NOT_FOUND: there is none. DATA_LOSS: there is, and
  // none can be read. FAILED_PRECONDITION: of another format.
  absl::StatusOr<Witness> Read() const;

  // Puts `contents` into both files, synced.
  absl::Status Save(Witness contents);
  // Saves, and begins.
  absl::Status Start(Witness contents);

  // Takes in what the database holds now. Returns the first error of a write of states.
  absl::Status Commit(const StoreWrite& write);

  uint64_t version() const;
  std::vector<SegmentState> States() const;
  std::optional<SegmentState> State(SegmentId segment) const;
  std::optional<LogHighWater> Mark(SegmentId segment) const;

 private:
  static constexpr size_t kCopies = 2;

  std::string Path(size_t copy) const;
  absl::Status WriteCopy(size_t copy);
  absl::Status WriteFile(const std::string& path, const std::string& bytes);
  void Run();

  rocksdb::Env* const env_;
  const std::string directory_;
  const std::function<void(absl::Status)> on_error_;

  std::mutex files_mutex_;  // taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Witness contents_;
  uint64_t news_ = 1;                        // counts what was taken in
  std::array<uint64_t, kCopies> written_{};  // how much of that each file holds
  bool is_stopping_ = false;
  std::thread writer_;
};

}  // namespace sextant::storage
