// The comparison: one workload on both paths, each on a cluster of its own on this machine.
//
// The log path is six storage nodes, a writer and readers; the traditional one is a source and
// replicas, each with a full copy (compute-node/binlog). For each: load, with the kernel's counts
// of what was written and sent; kill -9 of the writing node and its restart; kill -9 and promotion.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/bench/bench.h"
#include "cli/cluster/local_cluster.h"
#include "cli/compare/traffic_meter.h"

namespace sextant::cli {

struct CompareOptions {
  std::string dir;  // the clusters live below it
  BenchOptions load;
  uint32_t followers = 2;  // readers here, replicas there
  uint32_t semi_sync_acks = 1;
  int failures = 3;  // restarts, and failovers
};

struct LagSummary {
  std::vector<double> samples_ms;            // ascending
  int unknown = 0;                           // samples in which a follower did not know its lag
  double Percentile(double fraction) const;  // 0: no samples
};

struct PathReport {
  std::string name;
  std::string what;  // its nodes
  BenchReport load;
  Traffic traffic;  // over the load's measured time
  LagSummary lag;   // likewise
  // From kill -9 until a commit that was asked for since is answered.
  std::vector<double> restart_ms, failover_ms;
  uint64_t answered = 0, lost = 0;  // commits before a failover, and those missing after it
};

// One path to be measured.
struct ComparePath {
  std::string name, what;
  RequestedSettings settings;
};
std::vector<ComparePath> PathsToCompare(const CompareOptions& options);

using CompareProgress = std::function<void(const std::string&)>;
absl::StatusOr<PathReport> MeasurePath(const ComparePath& path, const CompareOptions& options,
                                       const CompareProgress& progress);

std::string CompareToJson(const CompareOptions& options, const std::vector<PathReport>& reports);
std::string CompareToText(const std::vector<PathReport>& reports);

}  // namespace sextant::cli
