// ClusterState: what DIR/cluster.json says of a local cluster; its nodes, ports, processes,
// settings.
//
// Written atomically (temporary file, sync, rename) by whoever holds the folder's lock. Layout of
// DIR:
//   cluster.json     this state          <node>/           the node's data (the writer keeps none)
//   cluster.lock     flock of commands   logs/<node>.log   its output
//   run/<node>.json  its ready file (common/rpc/server.h)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/process.h"

namespace sextant::cli {

inline constexpr char kWriterName[] = "writer";
inline constexpr char kSourceName[] = "source";  // of the traditional path

struct NodeState {
  std::string name;        // "az1-a", "writer", "reader-1"
  std::string zone;        // "az1"; empty for compute nodes
  std::string listen;      // gRPC, "127.0.0.1:20001"
  std::string metrics;     // HTTP
  ProcessId process;       // last one started
  bool is_spare = false;   // a storage node that the volume is not founded on
  bool is_reader = false;  // made to read, or a replica; who writes now is for the nodes to say
  bool is_compute() const { return zone.empty(); }
  bool is_writer() const { return is_compute() && !is_reader; }  // made to write
};

// Fixed when the cluster is made.
struct ClusterSettings {
  uint64_t segment_bytes = 10ull << 30;
  uint32_t page_bytes = 4096;
  uint32_t protection_groups = 1;
  uint32_t spares = 0;   // storage nodes beyond the six, one a zone
  uint32_t readers = 0;  // compute nodes beyond the writer
  // "log", or "binlog": the traditional path, with a source and replicas and nothing else.
  std::string mode = "log";
  uint32_t replicas = 2;
  uint32_t semi_sync_acks = 0;  // 0: asynchronous
  bool is_binlog() const { return mode == "binlog"; }
  bool operator==(const ClusterSettings&) const = default;
};

struct ClusterState {
  ClusterSettings settings;
  // Set once the writer has been open for the first time: the volume exists.
  bool is_volume_created = false;
  std::vector<NodeState> nodes;  // storage nodes in zone order, the writer, the readers

  const NodeState& writer() const;
  std::vector<std::string> StorageAddresses() const;
  std::vector<std::string> ComputeAddresses() const;
};

// The six storage nodes in three zones, the spares, the writer and the readers; or the source and
// its replicas; on these ports (two a node), none started.
ClusterState NewClusterState(const ClusterSettings& settings, const std::vector<uint16_t>& ports);
inline constexpr int kPortsPerCluster = 14;  // without spares and readers
inline int PortsFor(const ClusterSettings& settings) {
  if (settings.is_binlog()) return 2 * static_cast<int>(1 + settings.replicas);
  return kPortsPerCluster + 2 * static_cast<int>(settings.spares + settings.readers);
}

std::string StateToJson(const ClusterState& state);
// INVALID_ARGUMENT: not a cluster state, or one of a newer format.
absl::StatusOr<ClusterState> StateFromJson(const std::string& json);

std::string StatePath(const std::string& dir);
std::string LogPath(const std::string& dir, const std::string& node);
std::string DataPath(const std::string& dir, const std::string& node);
std::string ReadyPath(const std::string& dir, const std::string& node);

// NOT_FOUND, with what to do, where DIR holds no cluster.
absl::StatusOr<ClusterState> LoadState(const std::string& dir);
absl::Status SaveState(const std::string& dir, const ClusterState& state);

// The nodes that `targets` name: a node, a zone ("az1") or "all". In the state's order, each once.
// INVALID_ARGUMENT names what is unknown and what there is.
absl::StatusOr<std::vector<std::string>> ResolveTargets(const ClusterState& state,
                                                        const std::vector<std::string>& targets);

}  // namespace sextant::cli
