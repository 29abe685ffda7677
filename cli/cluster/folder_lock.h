// FolderLock: one command at a time changes a local cluster's folder (flock on DIR/cluster.lock).
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::cli {

// Held until destroyed, and let go by the kernel if the process dies.
class FolderLock {
 public:
  // ABORTED, naming the holder's pid, when another process still holds it after `patience`.
  static absl::StatusOr<FolderLock> Take(const std::string& dir, absl::Duration patience);
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

inline constexpr char kLockFileName[] = "cluster.lock";

}  // namespace sextant::cli
