// Processes by pid and start time, over /proc and posix_spawn.
#include "cli/cluster/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/time/clock.h"
#include "common/base/text.h"

extern char** environ;

namespace sextant::cli {
namespace {

// Reaps `pid` if it is a child of ours that has ended; harmless for any other.
void ReapIfChild(pid_t pid) {
  int ignored = 0;
  waitpid(pid, &ignored, WNOHANG);
}

// The state in /proc/PID/stat is that of the first thread, which may be a zombie while others still
// die, and with them the process's open files and locks.
bool HasOtherThreads(pid_t pid) {
  std::error_code error;
  const std::filesystem::directory_iterator threads(Text("/proc/", pid, "/task"), error);
  return !error && std::distance(begin(threads), end(threads)) > 1;
}

std::vector<std::string> EnvironmentWithout(const std::vector<std::string>& names) {
  std::vector<std::string> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string name(text.substr(0, text.find('=')));
    if (std::find(names.begin(), names.end(), name) == names.end()) kept.emplace_back(text);
  }
  return kept;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The settings of posix_spawn: own session, default signals, log as output, nothing else open.
class SpawnSettings {
 public:
  explicit SpawnSettings(const std::string& log_file) {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0644);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  const posix_spawnattr_t* attributes() const { return &attributes_; }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

}  // namespace

std::string_view ToString(ProcessState state) {
  switch (state) {
    case ProcessState::kStopped:
      return "stopped";
    case ProcessState::kRunning:
      return "running";
    case ProcessState::kPaused:
      return "paused";
  }
  return "unknown";
}

std::optional<ProcessStat> ParseProcessStat(std::string_view text) {
  const size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream rest{std::string(text.substr(name_end + 1))};
  ProcessStat stat;
  rest >> stat.state;
  // After the state (field 3): user and system time are fields 14 and 15, the start time is 22.
  std::string skipped;
  uint64_t user = 0, system = 0;
  for (int field = 4; field < 14; ++field) rest >> skipped;
  rest >> user >> system;
  stat.cpu_ticks = user + system;
  for (int field = 16; field < 22; ++field) rest >> skipped;
  rest >> stat.start_time;
  if (rest.fail()) return std::nullopt;
  return stat;
}

std::optional<ProcessStat> ReadProcessStat(pid_t pid) {
  std::ifstream file(Text("/proc/", pid, "/stat"));
  if (!file) return std::nullopt;
  return ParseProcessStat(std::string(std::istreambuf_iterator<char>(file), {}));
}

ProcessState StateOf(ProcessId process) {
  if (process.pid <= 0) return ProcessState::kStopped;
  const std::optional<ProcessStat> stat = ReadProcessStat(process.pid);
  if (!stat || stat->start_time != process.start_time) return ProcessState::kStopped;
  if (stat->state == 'Z' && HasOtherThreads(process.pid)) return ProcessState::kRunning;
  if (stat->state == 'Z' || stat->state == 'X') return ProcessState::kStopped;
  return stat->state == 'T' ? ProcessState::kPaused : ProcessState::kRunning;
}

absl::Status Signal(ProcessId process, int signal) {
  if (StateOf(process) == ProcessState::kStopped) {
    return absl::NotFoundError(Text("process ", process.pid, " has ended"));
  }
  if (kill(process.pid, signal) != 0) {
    if (errno == ESRCH) return absl::NotFoundError(Text("process ", process.pid, " has ended"));
    return absl::PermissionDeniedError(
        Text("cannot signal process ", process.pid, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

bool WaitForExit(ProcessId process, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const bool has_ended = StateOf(process) == ProcessState::kStopped;
    ReapIfChild(process.pid);  // after looking: one that ends in between is reaped the next time
    if (has_ended) return true;
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::StatusOr<ProcessId> Launch(const LaunchOptions& options) {
  std::vector<std::string> command = options.command;
  std::vector<std::string> environment = EnvironmentWithout(options.drop_environment);
  const SpawnSettings settings(options.log_file);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command[0].c_str(), settings.actions(), settings.attributes(),
                                Pointers(command).data(), Pointers(environment).data());
  if (error != 0) {
    return absl::UnavailableError(Text("cannot start ", command[0], ": ", std::strerror(error)));
  }
  const std::optional<ProcessStat> stat = ReadProcessStat(pid);
  if (!stat)
    return absl::UnavailableError(Text(command[0], " ended at once; see ", options.log_file));
  return ProcessId{pid, stat->start_time};
}

}  // namespace sextant::cli
