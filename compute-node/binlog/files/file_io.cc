// See file_io.h.
#include "compute-node/binlog/files/file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::binlog {

absl::Status IoError(std::string_view doing, std::string_view path) {
  return absl::UnavailableError(Text(doing, " ", path, ": ", std::strerror(errno)));
}

absl::StatusOr<std::shared_ptr<int>> OpenFile(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) return IoError("opening", path);
  return std::shared_ptr<int>(new int(fd), [](int* held) {
    ::close(*held);
    delete held;
  });
}

absl::StatusOr<uint64_t> FileSize(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return IoError("looking at", path);
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t offset, size_t bytes) {
  ASSIGN_OR_RETURN(const std::shared_ptr<int> fd, OpenFile(path, O_RDONLY));
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(path));
  std::string text(static_cast<size_t>(std::min<uint64_t>(bytes, size - std::min(size, offset))),
                   0);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        ::pread(*fd, text.data() + done, text.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return IoError("reading", path);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

absl::Status WriteAll(int fd, std::string_view bytes, std::string_view path) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return IoError("writing", path);
    bytes.remove_prefix(static_cast<size_t>(done));
  }
  return absl::OkStatus();
}

absl::Status SyncFile(int fd, std::string_view path) {
  return ::fdatasync(fd) == 0 ? absl::OkStatus() : IoError("syncing", path);
}

absl::Status SyncFolder(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::shared_ptr<int> fd, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  return ::fsync(*fd) == 0 ? absl::OkStatus() : IoError("syncing", folder);
}

absl::Status ReplaceFile(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<int> fd, OpenFile(fresh, O_RDWR | O_CREAT | O_TRUNC));
    RETURN_IF_ERROR(WriteAll(*fd, bytes, fresh));
    RETURN_IF_ERROR(SyncFile(*fd, fresh));
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return IoError("renaming", fresh);
  return SyncFolder(std::filesystem::path(path).parent_path().string());
}

}  // namespace sextant::binlog
