// Loop devices and ext4, by the tools of util-linux and e2fsprogs. See disks.h.
#include "fault/cluster/disks.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/text.h"

extern char** environ;

namespace sextant::fault {
namespace {

namespace fs = std::filesystem;

// FS_IOC_SHUTDOWN of ext4, with "neither data nor journal are written any more".
constexpr unsigned long kShutdown = 0x8004587d;
constexpr uint32_t kWithoutFlush = 2;
constexpr char kFiller[] = "/filler";

absl::Status Failed(const std::string& what) {
  return absl::UnavailableError(Text("cannot ", what, ": ", std::strerror(errno)));
}

absl::Status Run(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return absl::UnavailableError(Text("cannot start ", command[0], ": ", std::strerror(error)));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::UnavailableError(
      Text("failed with status ", status, ": ", std::string(absl::StrJoin(command, " "))));
}

absl::Status Mount(const std::string& image, const std::string& folder) {
  return Run({"mount", "-o", "loop", image, folder});
}

}  // namespace

std::string Disks::Prepare() {
  if (geteuid() != 0) return "file systems of their own need root";
  for (const char* tool : {"/sbin/mkfs.ext4", "/bin/mount"}) {
    if (access(tool, X_OK) != 0) return Text("there is no ", tool);
  }
  if (access("/dev/loop-control", R_OK | W_OK) != 0) return "there are no loop devices";
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Text("a mount namespace is refused: ", std::strerror(errno));
  }
  return "";
}

Disks::~Disks() {
  for (const auto& [name, folder] : mounts_) umount2(folder.c_str(), MNT_DETACH);
}

absl::Status Disks::Add(const std::string& name, const std::string& folder, uint64_t bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  fs::create_directories(folder, error);
  const std::string image = Image(name);
  RETURN_IF_ERROR(Run({"truncate", "-s", std::to_string(bytes), image}));
  RETURN_IF_ERROR(Run({"mkfs.ext4", "-q", "-F", image}));
  RETURN_IF_ERROR(Mount(image, folder));
  mounts_[name] = folder;
  fs::remove(folder + "/lost+found", error);  // a data directory is made in an empty folder
  return absl::OkStatus();
}

absl::Status Disks::CutPower(const std::string& name) {
  const int fd = open(mounts_.at(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed(Text("open the disk of ", name));
  const int result = ioctl(fd, kShutdown, &kWithoutFlush);
  close(fd);
  return result == 0 ? absl::OkStatus() : Failed(Text("cut the power of ", name));
}

absl::Status Disks::RestorePower(const std::string& name) {
  const std::string& folder = mounts_.at(name);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (umount(folder.c_str()) != 0) {  // busy until the kernel has let go of a killed process
    if (errno != EBUSY || absl::Now() >= deadline) return Failed(Text("unmount ", folder));
    absl::SleepFor(absl::Milliseconds(5));
  }
  return Mount(Image(name), folder);
}

absl::Status Disks::FillUp(const std::string& name, uint64_t free_bytes) {
  const std::string path = mounts_.at(name) + kFiller;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(Text("make ", path));
  struct statvfs space {};
  if (fstatvfs(fd, &space) != 0) {
    close(fd);
    return Failed(Text("ask for the free space of ", path));
  }
  const uint64_t free = uint64_t{space.f_bavail} * space.f_frsize;
  const uint64_t taken = free > free_bytes ? free - free_bytes : 0;
  const int result = taken == 0 ? 0 : fallocate(fd, 0, 0, static_cast<off_t>(taken));
  close(fd);
  return result == 0 ? absl::OkStatus() : Failed(Text("fill ", path));
}

absl::Status Disks::GiveBack(const std::string& name) {
  const std::string path = mounts_.at(name) + kFiller;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Failed(Text("remove ", path));
  return absl::OkStatus();
}

}  // namespace sextant::fault
