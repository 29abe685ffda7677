// Plain files with their errors as statuses.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sextant::binlog {

// UNAVAILABLE, with errno's words.
absl::Status IoError(std::string_view doing, std::string_view path);
// Closed when the last holder lets go.
absl::StatusOr<std::shared_ptr<int>> OpenFile(const std::string& path, int flags);
absl::StatusOr<uint64_t> FileSize(const std::string& path);
// Up to `bytes` from `offset` on; less where the file ends.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t offset, size_t bytes);
absl::Status WriteAll(int fd, std::string_view bytes, std::string_view path);
absl::Status SyncFile(int fd, std::string_view path);
absl::Status SyncFolder(const std::string& folder);
// Replaces the file as a whole, durably.
absl::Status ReplaceFile(const std::string& path, std::string_view bytes);

}  // namespace sextant::binlog
