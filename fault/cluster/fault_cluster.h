// FaultCluster: six storage nodes and compute nodes as processes of this machine, to be harmed; or,
// in binlog mode, a source and its replicas.
//
// It lies in a folder as `sextant cluster up` makes it, so the other commands can look at it while
// a run lasts. Methods of one thread at a time; addresses may be read from any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/cluster/cluster_state.h"
#include "fault/cluster/disks.h"
#include "fault/relay/relay.h"
#include "fault/scenario/scenario.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::fault {

struct FaultClusterOptions {
  std::string directory;  // an empty or new one
  bool has_links = false;
  bool has_disks = false;  // Disks::Prepare() was called
  bool has_standby = false;
  int readers = 0;
  int replicas = 0;  // not 0: binlog mode, without storage nodes, standby and readers
  int semi_sync_acks = 0;
  uint64_t disk_bytes = 1ull << 30;     // sparse
  uint64_t segment_bytes = 1ull << 20;  // small, so that the volume grows while it is harmed
  // Given to every storage node, or compute node, at every start.
  std::vector<std::string> storage_flags, compute_flags;
};

class FaultCluster {
 public:
  // Makes the folder, the disks and the links; starts nothing.
  static absl::StatusOr<std::unique_ptr<FaultCluster>> Make(FaultClusterOptions options);
  ~FaultCluster();  // kills what runs

  const FaultClusterOptions& options() const { return options_; }
  const cli::ClusterState& state() const { return state_; }
  bool is_binlog() const { return options_.replicas > 0; }
  Topology topology() const;
  // SQL endpoints of those that lead or may take over.
  std::vector<std::string> WriterEndpoints() const;
  // Likewise of all compute nodes, and of those made to read.
  std::vector<std::string> ComputeEndpoints() const { return state_.ComputeAddresses(); }
  std::vector<std::string> ReaderEndpoints() const;
  std::string LeaderEndpoint() const;
  // The compute node that leads, as far as it was this class that said who.
  const std::string& leader() const { return leader_; }

  // Starts those that do not run; returns when their ports are open. A storage node that ends
  // instead: UNAVAILABLE with the end of its log.
  absl::Status Start(const std::vector<std::string>& names,
                     const std::vector<std::string>& flags = {});
  // SIGTERM, and waits.
  absl::Status Stop(const std::string& name);
  absl::Status Kill(const std::vector<std::string>& names);
  absl::Status Pause(const std::vector<std::string>& names);
  absl::Status Resume(const std::vector<std::string>& names);
  // It is to end by itself from now on.
  void ExpectEnd(const std::string& name) { up_.erase(name); }
  // Waits until it has. DEADLINE_EXCEEDED: it has not.
  absl::Status AwaitExit(const std::string& name, absl::Duration timeout);
  // The standby starts, and leads once it serves; the old leader is left as it is.
  absl::Status TakeOver();
  // That of `names`, readers or replicas, which shows most is promoted, and leads once it serves.
  absl::Status Promote(const std::vector<std::string>& names);
  // Kills a compute node that was taken over from, if one runs.
  absl::Status RetireOldLeader();

  // From any thread: kills what runs, and starts nothing any more. How many were killed.
  size_t EndAll();

  absl::Status SetLinks(const std::vector<std::string>& from, const std::vector<std::string>& to,
                        const LinkFault& fault);
  Disks& disks() { return *disks_; }
  std::string DataFolder(const std::string& node) const {
    return cli::DataPath(options_.directory, node);
  }

  // Waits until the leader serves.
  absl::Status AwaitServing(absl::Duration timeout);
  // Waits until the leader serves and every member of every group streams, or every replica
  // follows; `idle`: and has all that there is. The message says what is missing.
  absl::Status AwaitWhole(absl::Duration timeout, bool idle);

  // Those that should run and have ended, with the ends of their logs. Each is told once.
  std::vector<std::string> UnexpectedEnds();

 private:
  explicit FaultCluster(FaultClusterOptions options) : options_(std::move(options)) {}
  absl::Status MakeFolder();
  absl::Status MakeDisks();
  absl::Status MakeLinks();
  cli::NodeState* Find(const std::string& name);
  absl::Status Launch(cli::NodeState* node, const std::vector<std::string>& flags);
  absl::Status AwaitReady(const cli::NodeState& node, absl::Time deadline);
  // Until the leader says that it is what it was promoted to.
  absl::Status AwaitLeading(const std::string& role, absl::Time deadline);
  std::string WhatIsMissing(bool idle);
  std::string WhatReplicasLack(const v1::ComputeStatus& source, bool idle) const;

  FaultClusterOptions options_;
  std::mutex launch_mutex_;  // of the processes in state_, while they are started or all ended
  bool is_ended_ = false;
  cli::ClusterState state_;
  std::string leader_;
  std::set<std::string> up_;  // should be running, or paused
  std::unique_ptr<Disks> disks_;
  std::unique_ptr<Relay> relay_;
  std::map<std::pair<std::string, std::string>, int> link_ports_;  // from, to
};

}  // namespace sextant::fault
