// GrpcStoragePeer: a storage node over gRPC. storage_peer.h has the contract.
//
// Two connections: one for the append stream and control, one for reads, so that a large read does
// not delay a small batch. The stream is opened once the node has answered a status request, and
// reopened with jittered back-off when it is lost.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "compute-node/net/storage_peer.h"
#include "compute-node/net/timer_queue.h"

namespace sextant::compute {

struct GrpcPeerOptions {
  std::string node;     // "az1-a"
  std::string address;  // "127.0.0.1:7001"
  uint64_t max_queued_bytes = 64ull << 20;
  absl::Duration reconnect_min = absl::Milliseconds(50);
  absl::Duration reconnect_max = absl::Seconds(1);
};

// `timers` outlives the peer and is not shut down before it. Shutdown() must not be called from a
// callback of the peer: it waits for them.
std::unique_ptr<StoragePeer> MakeGrpcStoragePeer(GrpcPeerOptions options, TimerQueue* timers);

}  // namespace sextant::compute
