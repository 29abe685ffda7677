// ZonesLine: the cluster in a few words, "az1 ++ az2 ++ az3 xx  writer open".
#pragma once

#include <string>

#include "cli/cluster/cluster_state.h"

namespace sextant::fault {

// Asks all compute nodes, half a second at most. '+' streams in every group, '~' is behind or told
// of an epoch in some, 'x' is down in some, '?': no writer answers who could say.
std::string ZonesLine(const cli::ClusterState& state);

}  // namespace sextant::fault
