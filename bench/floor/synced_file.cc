// See synced_file.h.
#include "bench/floor/synced_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/base/check.h"

namespace sextant::bench {
namespace {

void WriteAt(int fd, const char* data, size_t bytes, size_t position) {
  while (bytes > 0) {
    const ssize_t written = ::pwrite(fd, data, bytes, static_cast<off_t>(position));
    SEXTANT_CHECK(written > 0) << "write: " << std::strerror(errno);
    data += written;
    bytes -= static_cast<size_t>(written);
    position += static_cast<size_t>(written);
  }
}

}  // namespace

SyncedFile::SyncedFile(const std::string& path, size_t bytes)
    : bytes_(bytes), fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  SEXTANT_CHECK(fd_ >= 0) << "open " << path << ": " << std::strerror(errno);
  const std::vector<char> zeros(1 << 20);
  for (size_t at = 0; at < bytes; at += zeros.size()) WriteAt(fd_, zeros.data(), zeros.size(), at);
  SEXTANT_CHECK(::fsync(fd_) == 0) << "sync " << path << ": " << std::strerror(errno);
}

SyncedFile::~SyncedFile() { ::close(fd_); }

void SyncedFile::Append(const char* data, size_t bytes) {
  if (position_ + bytes > bytes_) position_ = 0;
  WriteAt(fd_, data, bytes, position_);
  position_ += bytes;
  SEXTANT_CHECK(::fdatasync(fd_) == 0) << "sync: " << std::strerror(errno);
}

}  // namespace sextant::bench
