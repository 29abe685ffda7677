// TrafficMeter: what a group of processes wrote to disk, sent each other and took of the CPUs, as
// the kernel counts it.
//
// Disk: `write_bytes` of /proc/PID/io, which the kernel adds up when a page of a file becomes
// dirty: whole pages, without the file system's own journal. Network: TCP_INFO of every socket that
// one of the processes owns and whose other end another of them owns (sock_diag(7)): payload bytes,
// and segments that carried payload, resent ones included. Talk with clients does not count, nor do
// TCP/IP headers. A connection that ends between the two samples is lost from the second one on.
// CPU: user and system time of /proc/PID/stat, in clock ticks (10 ms). Context switches, voluntary
// or not: of the threads that live at both ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sextant::cli {

struct Traffic {
  uint64_t disk_bytes = 0;
  uint64_t network_bytes = 0;
  uint64_t network_writes = 0;  // segments with payload
  double cpu_seconds = 0;
  uint64_t context_switches = 0;
};

class TrafficMeter {
 public:
  explicit TrafficMeter(std::vector<pid_t> processes) : processes_(std::move(processes)) {}
  // UNAVAILABLE: the kernel does not tell, or a process is gone. Likewise for Since.
  absl::Status Begin();
  // Since Begin.
  absl::StatusOr<Traffic> Read() const;

 private:
  struct Sent {
    uint64_t bytes = 0, segments = 0;
  };
  struct Sample {
    uint64_t disk_bytes = 0;
    double cpu_seconds = 0;
    std::map<uint64_t, Sent> sockets;    // by inode
    std::map<pid_t, uint64_t> switches;  // by thread
  };
  absl::StatusOr<Sample> Take() const;

  const std::vector<pid_t> processes_;
  Sample begin_;
};

}  // namespace sextant::cli
