// Digests: do all members of every protection group hold the same pages; in binlog mode, all nodes
// the same database?
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fault/cluster/fault_cluster.h"

namespace sextant::fault {

// Reads every page at VDL from every member, on an idle cluster that is whole. One line for each
// member that differs from the first of its group; empty: they are all alike. UNAVAILABLE: somebody
// does not answer.
absl::StatusOr<std::vector<std::string>> CompareMembers(const FaultCluster& cluster);

}  // namespace sextant::fault
