// The peers of a storage node over gRPC, as --peer names them. Internal to server/.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage-node/server/peer_node.h"

namespace sextant::storage {

// From "NAME=HOST:PORT" each. INVALID_ARGUMENT: malformed, or a name twice. Connects lazily; a call
// gives up after two seconds, a copy of pages after twenty.
absl::StatusOr<PeerNodes> GrpcPeers(const std::vector<std::string>& specs);

}  // namespace sextant::storage
