// See replica_processes.h.
#include "bench/floor/replica_processes.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "bench/floor/quorum_window.h"
#include "common/base/check.h"

namespace sextant::bench {

ReplicaProcesses::ReplicaProcesses(const std::string& kind, const std::string& dir) {
  for (int i = 0; i < kReplicas; ++i) {
    files_.push_back(dir + "/floor-" + kind + "-" + std::to_string(::getpid()) + "-" +
                     std::to_string(i));
    Start(kind, files_.back());
  }
}

ReplicaProcesses::~ReplicaProcesses() {
  for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
  for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
  for (const std::string& file : files_) ::unlink(file.c_str());
}

void ReplicaProcesses::Start(const std::string& kind, const std::string& file) {
  int ready[2];
  SEXTANT_CHECK(::pipe(ready) == 0);
  const pid_t pid = ::fork();
  SEXTANT_CHECK(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string ready_fd = std::to_string(ready[1]);
    // A new image: gRPC does not survive a fork.
    ::execl("/proc/self/exe", "sextant-bench-floor", "--replica", kind.c_str(), file.c_str(),
            ready_fd.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ready[1]);
  pids_.push_back(pid);
  std::FILE* const text = ::fdopen(ready[0], "r");
  int port = 0;
  SEXTANT_CHECK(std::fscanf(text, "%d", &port) == 1) << "replica " << file << " does not start";
  std::fclose(text);
  ports_.push_back(port);
}

}  // namespace sextant::bench
