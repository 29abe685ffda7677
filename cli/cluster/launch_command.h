// How each node of a local cluster is started: which binary, which flags.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/cluster/cluster_state.h"

namespace sextant::cli {

struct Binaries {
  std::string storage_node;
  std::string compute_node;
};
// The server binaries beside this one, or in $SEXTANT_BIN_DIR. NOT_FOUND names the folder looked
// at.
absl::StatusOr<Binaries> FindBinaries();

// What is different for one process, or one run.
struct LaunchChanges {
  // Where `from` reaches `to`, if not at the address that `to` listens at (fault/relay).
  std::function<std::string(const NodeState& from, const NodeState& to)> route;
  std::vector<std::string> flags;  // added at the end
};

// Command line of `node`. `dir` is absolute; `log_level` may be empty (the server's default).
std::vector<std::string> NodeCommand(const Binaries& binaries, const std::string& dir,
                                     const ClusterState& state, const NodeState& node,
                                     const std::string& log_level,
                                     const LaunchChanges& changes = {});

}  // namespace sextant::cli
