// PeerNode: another storage node, as one that fetches what it lacks asks it.
//
// Two implementations: gRPC (gossip_peers.h) and the in-process cluster (embedded/local_node.h).
// Every call blocks, gives up in reasonable time, and answers UNAVAILABLE or DEADLINE_EXCEEDED when
// the peer cannot be reached. Thread-safety: all methods from any thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/protocol/storage_messages.h"

namespace sextant::storage {

class PeerNode {
 public:
  virtual ~PeerNode() = default;
  virtual absl::StatusOr<protocol::ReadLogReply> ReadLog(
      const protocol::ReadLogRequest& request) = 0;
  virtual absl::StatusOr<protocol::CopyPagesReply> CopyPages(
      const protocol::CopyPagesRequest& request) = 0;
  virtual absl::StatusOr<protocol::ReadPagesReply> ReadPages(
      const protocol::ReadPagesRequest& request) = 0;
};

// By node name. The node's own is never asked, so that all nodes may be given the same list.
using PeerNodes = std::map<std::string, std::shared_ptr<PeerNode>>;

}  // namespace sextant::storage
