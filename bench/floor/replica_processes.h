// ReplicaProcesses: six copies of this program, run as replicas, killed with the object or its
// process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace sextant::bench {

class ReplicaProcesses {
 public:
  // `kind`: "tcp" or "grpc". Files go into `dir`.
  ReplicaProcesses(const std::string& kind, const std::string& dir);
  ~ReplicaProcesses();
  ReplicaProcesses(const ReplicaProcesses&) = delete;

  const std::vector<int>& ports() const { return ports_; }

 private:
  void Start(const std::string& kind, const std::string& file);

  std::vector<pid_t> pids_;
  std::vector<int> ports_;
  std::vector<std::string> files_;
};

}  // namespace sextant::bench
