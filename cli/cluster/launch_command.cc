// The flags of sextant-storage-node and sextant-compute-node, as a local cluster sets them.
#include "cli/cluster/launch_command.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "common/base/text.h"

namespace sextant::cli {

absl::StatusOr<Binaries> FindBinaries() {
  std::string folder;
  if (const char* set = std::getenv("SEXTANT_BIN_DIR"); set != nullptr && *set != '\0') {
    folder = set;
  } else {
    std::error_code error;
    folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    if (error)
      return absl::NotFoundError("cannot tell where this binary lies; set SEXTANT_BIN_DIR");
  }
  Binaries binaries{folder + "/sextant-storage-node", folder + "/sextant-compute-node"};
  for (const std::string& path : {binaries.storage_node, binaries.compute_node}) {
    if (access(path.c_str(), X_OK) != 0) {
      return absl::NotFoundError(
          Text("there is no ", path,
               ": build it, or set SEXTANT_BIN_DIR to the folder of the binaries"));
    }
  }
  return binaries;
}

std::vector<std::string> NodeCommand(const Binaries& binaries, const std::string& dir,
                                     const ClusterState& state, const NodeState& node,
                                     const std::string& log_level, const LaunchChanges& changes) {
  std::vector<std::string> command = {node.is_compute() ? binaries.compute_node
                                                        : binaries.storage_node};
  const auto flag = [&command](const char* name, std::string value) {
    command.push_back(name);
    command.push_back(std::move(value));
  };
  const auto address_of = [&](const NodeState& to) {
    return changes.route ? changes.route(node, to) : to.listen;
  };
  flag("--node-name", node.name);
  flag("--listen", node.listen);
  flag("--metrics-listen", node.metrics);
  flag("--ready-file", ReadyPath(dir, node.name));
  if (!log_level.empty()) flag("--log-level", log_level);
  if (!node.is_compute()) {
    flag("--zone", node.zone);
    flag("--data-dir", DataPath(dir, node.name));
    for (const NodeState& peer : state.nodes) {
      if (!peer.is_compute() && peer.name != node.name) {
        flag("--peer", Text(peer.name, "=", address_of(peer)));
      }
    }
    command.insert(command.end(), changes.flags.begin(), changes.flags.end());
    return command;
  }
  if (state.settings.is_binlog()) {
    flag("--role", node.is_reader ? "binlog-replica" : "binlog-source");
    flag("--data-dir", DataPath(dir, node.name));
    flag("--semi-sync-acks", std::to_string(state.settings.semi_sync_acks));
  } else {
    flag("--role", node.is_reader ? "reader" : "writer");
  }
  for (const NodeState& other : state.nodes) {
    if (other.is_compute()) {
      if (state.settings.readers > 0 || state.settings.is_binlog()) {
        flag("--compute-node",
             Text(other.name, "=", other.name == node.name ? other.listen : address_of(other)));
      }
      continue;
    }
    flag(other.is_spare ? "--spare-node" : "--storage-node",
         Text(other.name, "@", other.zone, "=", address_of(other)));
  }
  if (!state.is_volume_created && node.is_writer() && !state.settings.is_binlog()) {
    command.push_back("--create-volume");
    flag("--page-size", std::to_string(state.settings.page_bytes));
    flag("--segment-size", std::to_string(state.settings.segment_bytes));
    flag("--protection-groups", std::to_string(state.settings.protection_groups));
  }
  command.insert(command.end(), changes.flags.begin(), changes.flags.end());
  return command;
}

}  // namespace sextant::cli
