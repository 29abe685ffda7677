// Digests of the traditional path: do source and replicas hold the same database? Internal to
// cluster/.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fault/cluster/fault_cluster.h"

namespace sextant::fault {

// As CompareMembers(): schema and rows of every table, as each node shows them, and SQLite's own
// check of its file. A line for each node that differs from the first.
absl::StatusOr<std::vector<std::string>> CompareReplicas(const FaultCluster& cluster);

}  // namespace sextant::fault
