// What RocksDB's errors mean to a caller of the store, and the one that is for ever. Internal to
// store/.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "rocksdb/listener.h"
#include "rocksdb/status.h"

namespace sextant::storage {

// Never RESOURCE_EXHAUSTED: a write that RocksDB itself could not finish may be half on disk, so it
// is as fatal as any other. DATA_LOSS: what lies there is damaged.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing);

// What lies there is damaged, or a file that must be there is not.
inline bool IsDamage(const rocksdb::Status& status) {
  return status.IsCorruption() || status.IsPathNotFound();
}

// The first failed write or sync, foreground or background; shared with RocksDB's threads.
class FirstError : public rocksdb::EventListener {
 public:
  // `on_damage`: compaction met a damaged table.
  explicit FirstError(std::function<void()> on_damage) : on_damage_(std::move(on_damage)) {}

  absl::Status Get() const {
    if (!is_set_.load(std::memory_order_acquire)) return absl::OkStatus();
    std::lock_guard<std::mutex> lock(mutex_);
    return error_;
  }
  // Returns what is remembered: `error`, or the one that came before it.
  absl::Status Set(absl::Status error);

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override;
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  const std::function<void()> on_damage_;
  std::atomic<bool> is_set_{false};
  mutable std::mutex mutex_;
  absl::Status error_;
};

}  // namespace sextant::storage
