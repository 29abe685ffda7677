// Carries the steps of a plan out on a cluster, and mends them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "fault/cluster/fault_cluster.h"
#include "fault/scenario/scenario.h"

namespace sextant::fault {

// Returns when the fault is there. An error: the harness could not do it, or a node that should
// have come up did not; either ends the run.
absl::Status Inflict(const Step& step, FaultCluster* cluster);
// Returns when the processes run again; the cluster may need longer to be whole.
absl::Status Mend(const Step& step, FaultCluster* cluster);

// "kill az1-a az1-b"
std::string Describe(const Step& step);

}  // namespace sextant::fault
