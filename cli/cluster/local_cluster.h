// LocalCluster: storage nodes and compute nodes as processes of this machine, kept in one folder.
//
// Starts, stops and disturbs processes; asks them nothing but their ready files (whether the writer
// serves is asked with cli/client). Changes to the folder are made under its lock; signals need
// none.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/cluster/cluster_state.h"
#include "cli/cluster/folder_lock.h"

namespace sextant::cli {

// What `cluster up` was told; what is not set is the default, or what the folder already has.
struct RequestedSettings {
  std::optional<uint64_t> segment_bytes;
  std::optional<uint32_t> page_bytes;
  std::optional<uint32_t> protection_groups;
  std::optional<uint32_t> spares;
  std::optional<uint32_t> readers;
  std::optional<std::string> mode;
  std::optional<uint32_t> replicas;
  std::optional<uint32_t> semi_sync_acks;
};

// What became of one node.
struct NodeOutcome {
  std::string node;
  std::string did;  // "started", "was running", "stopped", "killed", "paused", ...
  bool is_ok = true;
};

class LocalCluster {
 public:
  // Receives one line for people per step.
  using Progress = std::function<void(const std::string&)>;

  // Opens the cluster in `dir` or makes one there. INVALID_ARGUMENT: `dir` holds something else, or
  // its cluster was made with other settings. ABORTED: another command holds the lock.
  static absl::StatusOr<LocalCluster> OpenOrCreate(const std::string& dir,
                                                   const RequestedSettings& requested,
                                                   Progress progress);
  // Opens an existing one; waits up to `patience` for the lock.
  static absl::StatusOr<LocalCluster> Open(const std::string& dir, absl::Duration patience,
                                           Progress progress);

  const ClusterState& state() const { return state_; }
  const std::string& dir() const { return dir_; }

  // Starts those of `names` that do not run, and waits until each has bound its ports. UNAVAILABLE
  // where one ends instead: the message shows the end of its log. `flags` are added to each command
  // line, for this start alone.
  absl::StatusOr<std::vector<NodeOutcome>> Start(const std::vector<std::string>& names,
                                                 const std::string& log_level,
                                                 absl::Duration timeout,
                                                 const std::vector<std::string>& flags = {});
  // SIGTERM to the compute nodes, then to the storage nodes; SIGKILL to what outlives `grace`.
  std::vector<NodeOutcome> Stop(const std::vector<std::string>& names, absl::Duration grace);
  // The volume exists from now on: later starts of the writer only open it.
  absl::Status MarkVolumeCreated();

 private:
  LocalCluster(std::string dir, FolderLock lock, ClusterState state, Progress progress);
  NodeState* FindNode(const std::string& name);
  absl::Status LaunchNode(NodeState* node, const std::string& log_level,
                          const std::vector<std::string>& flags);
  absl::Status WaitUntilReady(const NodeState& node, absl::Time deadline);
  void StopGroup(const std::vector<std::string>& names, bool compute, absl::Duration grace,
                 std::vector<NodeOutcome>* outcomes);

  std::string dir_;
  FolderLock lock_;
  ClusterState state_;
  Progress progress_;
};

// Signals, without the lock: SIGKILL, SIGSTOP, SIGCONT. They wait until the process is in the new
// state.
std::vector<NodeOutcome> KillNodes(const ClusterState& state,
                                   const std::vector<std::string>& names);
std::vector<NodeOutcome> PauseNodes(const ClusterState& state,
                                    const std::vector<std::string>& names);
std::vector<NodeOutcome> ResumeNodes(const ClusterState& state,
                                     const std::vector<std::string>& names);

// The last `lines` lines of a node's log, indented, for messages. Empty where there is none.
std::string LogTail(const std::string& dir, const std::string& node, int lines = 12);

}  // namespace sextant::cli
