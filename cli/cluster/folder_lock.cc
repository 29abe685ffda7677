// FolderLock over flock.
#include "cli/cluster/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/time/clock.h"
#include "common/base/text.h"

namespace sextant::cli {

absl::StatusOr<FolderLock> FolderLock::Take(const std::string& dir, absl::Duration patience) {
  const std::string path = Text(dir, "/", kLockFileName);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return absl::UnavailableError(Text("cannot open ", path, ": ", std::strerror(errno)));
  FolderLock lock(fd);
  const absl::Time deadline = absl::Now() + patience;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return absl::UnavailableError(Text("cannot lock ", path, ": ", std::strerror(errno)));
    }
    if (absl::Now() >= deadline) {
      char holder[32] = "";
      const ssize_t length = pread(fd, holder, sizeof holder - 1, 0);
      return absl::AbortedError(Text("another sextant command (pid ",
                                     length > 0 ? holder : "unknown", ") is at work on ", dir,
                                     ": wait until it has ended, then try again"));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return absl::UnavailableError(Text("cannot write ", path, ": ", std::strerror(errno)));
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace sextant::cli
