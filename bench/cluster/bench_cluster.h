// BenchCluster: a cluster of processes of its own, to be measured and, in part, harmed.
//
// One at a time in this process: its folder is always DIR/cluster, so that whoever ends this
// program by force knows where to look for what it left behind (`sextant cluster kill all`).
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/cluster/local_cluster.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::bench {

// What is wrong with the six storage nodes.
enum class Members { kWhole, kOneDead, kZoneDead, kOneSlow };

struct ClusterPlan {
  uint32_t readers = 0;
  // The traditional path instead: a source and so many replicas (0: the log).
  uint32_t binlog_replicas = 0;
  uint32_t semi_sync_acks = 0;
  std::vector<std::string> compute_flags, storage_flags;  // added to each command line
  Members members = Members::kWhole;
  bool operator==(const ClusterPlan&) const = default;
};

class BenchCluster {
 public:
  // The one in `dir`/cluster that runs by this plan, or a new and empty one in its place.
  static absl::StatusOr<BenchCluster*> Get(const std::string& dir, const ClusterPlan& plan);
  // Ends the one that runs, if any, and removes its folder. What went wrong is not known to the
  // next one.
  static void Drop();
  ~BenchCluster();

  // Addresses.
  const std::string& writer() const;
  std::vector<std::string> followers() const;
  std::vector<pid_t> Processes() const;  // those that live

  // SIGKILL to the writer, and its start. Until it serves again.
  absl::StatusOr<absl::Duration> RestartWriter();
  absl::StatusOr<v1::ComputeStatus> WriterStatus() const;
  // The writer's metrics that have no labels.
  absl::StatusOr<std::map<std::string, double>> WriterMetrics() const;

 private:
  BenchCluster(ClusterPlan plan, cli::LocalCluster cluster)
      : plan_(std::move(plan)), cluster_(std::move(cluster)) {}
  absl::Status Up();
  absl::Status AfflictMembers();
  absl::Status Start(const std::vector<std::string>& names, const std::vector<std::string>& more);
  absl::Status Kill(const std::vector<std::string>& names);
  absl::Status AwaitServing();
  absl::Status AwaitWhole();
  absl::Status AwaitFollowers();

  const ClusterPlan plan_;
  cli::LocalCluster cluster_;
};

// Ends the processes of the cluster below `dir`, and lets none be started any more: this process
// must end after it.
void EndCluster(const std::string& dir);

}  // namespace sextant::bench
