// See role_parts.h.
#include "compute-node/server/role_parts.h"

#include <utility>

#include "compute-node/net/grpc_storage_peer.h"

namespace sextant::server {

std::vector<std::unique_ptr<compute::StoragePeer>> MakePeers(const ComputeFlags& flags,
                                                             compute::TimerQueue* timers) {
  std::vector<std::unique_ptr<compute::StoragePeer>> peers;
  for (const StorageNodeAddress& node : flags.storage_nodes) {
    compute::GrpcPeerOptions options;
    options.node = node.member.node;
    options.address = node.address;
    options.max_queued_bytes = flags.max_peer_queue_bytes;
    peers.push_back(compute::MakeGrpcStoragePeer(std::move(options), timers));
  }
  return peers;
}

sql::SqlOptions MakeSqlOptions(const ComputeFlags& flags) {
  sql::SqlOptions options;
  options.threads = flags.sql_threads;
  options.max_sessions = flags.sql_max_sessions;
  options.default_timeout = absl::Milliseconds(flags.commit_timeout_ms);
  return options;
}

}  // namespace sextant::server
