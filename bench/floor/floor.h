// The two floors: replicas, run in processes of their own, and the drivers that load them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/floor/quorum_window.h"

namespace sextant::bench {

struct FloorResult {
  uint64_t records = 0;
  double seconds = 0;
  Histogram latency_ns;
};

struct FloorLoad {
  uint64_t depth = 1;  // records in flight
  std::chrono::duration<double> warm_up{0.3};
  std::chrono::duration<double> measured{2};
};

// Serves one connection after another on a loopback port, which is written to `ready_fd` as text
// with a newline. Returns never; the process ends with its parent.
[[noreturn]] void ServeTcpReplica(const std::string& file, int ready_fd);
[[noreturn]] void ServeGrpcReplica(const std::string& file, int ready_fd);

// Closed loop against six replicas on these ports.
FloorResult LoadTcp(const std::vector<int>& ports, const FloorLoad& load);
FloorResult LoadGrpc(const std::vector<int>& ports, const FloorLoad& load);

}  // namespace sextant::bench
