// LocalNode: a storage node of an in-process cluster, which can be killed, started and cut off.
//
// Owns the storage::StorageNode while it runs, and knows the peers that talk to it, so that their
// streams end before the node does.
//
// Thread-safety: Start, Stop, SetConnected from one thread at a time; the rest from any.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/volume/descriptor.h"
#include "compute-node/net/storage_peer.h"
#include "storage-node/server/gossip_runner.h"
#include "storage-node/server/storage_node.h"

namespace sextant::embedded {

class LocalStoragePeer;

class LocalNode {
 public:
  // Opens the node's durable state, which outlives Stop(): called at every Start().
  using OpenStore = std::function<absl::StatusOr<std::unique_ptr<storage::SegmentStore>>()>;

  LocalNode(volume::Member member, OpenStore open_store);
  ~LocalNode();  // Stop(); its peers are gone

  const volume::Member& member() const { return member_; }

  // Last word on its options, from the next Start() on.
  void SetAdjust(std::function<void(storage::StorageNodeOptions*)> adjust) {
    adjust_ = std::move(adjust);
  }
  // Where it fetches log records from that it lacks, from the next Start() on. They outlive it.
  void SetPeers(std::vector<const LocalNode*> peers) { gossip_peers_ = std::move(peers); }

  // Starts it on what its store holds. FAILED_PRECONDITION: it runs.
  absl::Status Start();
  // Ends it and every stream to it, as a process that is killed would. No-op when it does not run.
  void Stop();
  bool is_running() const { return node() != nullptr; }
  // False: it runs, but nobody reaches it, and it reaches nobody.
  void SetConnected(bool is_connected);

  // What it says of itself; an empty status while it does not run.
  protocol::NodeStatus Status() const;

  // A peer for one compute node. Must be destroyed before this.
  std::unique_ptr<compute::StoragePeer> MakePeer();

 private:
  friend class LocalStoragePeer;

  // Null while stopped.
  std::shared_ptr<storage::StorageNode> node() const;
  // Null while stopped or cut off.
  std::shared_ptr<storage::StorageNode> reachable() const;
  void Forget(LocalStoragePeer* peer);
  class Link;

  const volume::Member member_;
  const OpenStore open_store_;
  std::function<void(storage::StorageNodeOptions*)> adjust_;  // may be empty
  std::vector<const LocalNode*> gossip_peers_;
  mutable std::mutex mutex_;
  std::shared_ptr<storage::StorageNode> node_;
  std::unique_ptr<storage::GossipRunner> gossip_;  // of node_
  bool is_connected_ = true;
  std::vector<LocalStoragePeer*> peers_;
};

}  // namespace sextant::embedded
