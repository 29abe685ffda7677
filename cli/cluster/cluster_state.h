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

struct NodeState {
  std::string name;       // "az1-a", "writer"
  std::string zone;       // "az1"; empty for the writer
  std::string listen;     // gRPC, "127.0.0.1:20001"
  std::string metrics;    // HTTP
  ProcessId process;      // last one started
  bool is_spare = false;  // a storage node that the volume is not founded on
  bool is_writer() const { return zone.empty(); }
};

// Fixed when the cluster is made.
struct ClusterSettings {
  uint64_t segment_bytes = 10ull << 30;
  uint32_t page_bytes = 4096;
  uint32_t protection_groups = 1;
  uint32_t spares = 0;  // storage nodes beyond the six, one a zone
  bool operator==(const ClusterSettings&) const = default;
};

struct ClusterState {
  ClusterSettings settings;
  // Set once the writer has been open for the first time: the volume exists.
  bool is_volume_created = false;
  std::vector<NodeState> nodes;  // storage nodes in zone order, then the writer

  const NodeState& writer() const;
  std::vector<std::string> StorageAddresses() const;
};

// The six storage nodes in three zones, the spares and the writer, on these ports (two a node),
// none started.
ClusterState NewClusterState(const ClusterSettings& settings, const std::vector<uint16_t>& ports);
inline constexpr int kPortsPerCluster = 14;  // without spares
inline int PortsFor(const ClusterSettings& settings) {
  return kPortsPerCluster + 2 * static_cast<int>(settings.spares);
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
