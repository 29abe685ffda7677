// Processes of a local cluster: started into sessions of their own, found again, signalled. No
// gRPC.
//
// A process is known by its pid *and* its start time (field 22 of /proc/PID/stat, in clock ticks
// since boot): a pid alone may have been given to a stranger since, whom nobody here may signal.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::cli {

struct ProcessId {
  pid_t pid = 0;            // 0: none
  uint64_t start_time = 0;  // clock ticks since boot
  bool operator==(const ProcessId&) const = default;
};

enum class ProcessState { kStopped, kRunning, kPaused };
std::string_view ToString(ProcessState state);

// What /proc/PID/stat says: one-letter state ('R', 'S', 'T', 'Z', ...), times in clock ticks.
struct ProcessStat {
  char state = '?';
  uint64_t start_time = 0;  // since boot
  uint64_t cpu_ticks = 0;   // taken so far, in user mode and in the kernel
};
// Parses the text of a /proc/PID/stat file. The command name in it may hold spaces and parentheses.
std::optional<ProcessStat> ParseProcessStat(std::string_view text);
std::optional<ProcessStat> ReadProcessStat(pid_t pid);

// kStopped too for a zombie, and for a pid that belongs to another process by now.
ProcessState StateOf(ProcessId process);
// Sends `signal` if the process still is the one meant; NOT_FOUND if it has ended.
absl::Status Signal(ProcessId process, int signal);
// True once it has ended; false when `timeout` passes first. Reaps it where it is our child.
bool WaitForExit(ProcessId process, absl::Duration timeout);

struct LaunchOptions {
  std::vector<std::string> command;           // command[0]: path of the binary
  std::string log_file;                       // stdout and stderr are appended to it
  std::vector<std::string> drop_environment;  // names not handed on
};
// Starts it in a session of its own, so that it outlives this process and its terminal; it inherits
// no open file but the log.
absl::StatusOr<ProcessId> Launch(const LaunchOptions& options);

}  // namespace sextant::cli
