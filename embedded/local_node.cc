// See local_node.h.
#include "embedded/local_node.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "embedded/local_storage_peer.h"
#include "spdlog/spdlog.h"

namespace sextant::embedded {

// How one node asks another, while both are connected.
class LocalNode::Link final : public storage::PeerNode {
 public:
  Link(const LocalNode* from, const LocalNode* to) : from_(from), to_(to) {}

  absl::StatusOr<protocol::ReadLogReply> ReadLog(const protocol::ReadLogRequest& request) override {
    ASSIGN_OR_RETURN(const auto node, Reach());
    return node->ReadLog(request);
  }
  absl::StatusOr<protocol::CopyPagesReply> CopyPages(
      const protocol::CopyPagesRequest& request) override {
    ASSIGN_OR_RETURN(const auto node, Reach());
    return node->CopyPages(request);
  }
  absl::StatusOr<protocol::ReadPagesReply> ReadPages(
      const protocol::ReadPagesRequest& request) override {
    ASSIGN_OR_RETURN(const auto node, Reach());
    return node->ReadPages(request);
  }

 private:
  absl::StatusOr<std::shared_ptr<storage::StorageNode>> Reach() const {
    auto node = from_->reachable() ? to_->reachable() : nullptr;
    if (node == nullptr) return absl::UnavailableError(Text(to_->member().node, " is cut off"));
    return node;
  }

  const LocalNode* const from_;
  const LocalNode* const to_;
};

LocalNode::LocalNode(volume::Member member, OpenStore open_store)
    : member_(std::move(member)), open_store_(std::move(open_store)) {}

LocalNode::~LocalNode() {
  Stop();
  SEXTANT_CHECK(peers_.empty()) << "a peer of " << member_.node << " outlives it";
}

absl::Status LocalNode::Start() {
  if (is_running()) {
    return absl::FailedPreconditionError(Text("storage node ", member_.node, " runs already"));
  }
  ASSIGN_OR_RETURN(auto store, open_store_());
  storage::StorageNodeOptions options;
  options.node = member_.node;
  options.zone = member_.zone;
  if (adjust_) adjust_(&options);
  ASSIGN_OR_RETURN(
      std::shared_ptr<storage::StorageNode> node,
      storage::StorageNode::Open(std::move(options), std::move(store),
                                 [name = member_.node](const auto& why) {
                                   spdlog::error("storage node can write no more{}",
                                                 rpc::Fields("storage_node", name, "error", why));
                                 }));
  storage::PeerNodes links;
  for (const LocalNode* peer : gossip_peers_) {
    links[peer->member().node] = std::make_shared<Link>(this, peer);
  }
  auto gossip = std::make_unique<storage::GossipRunner>(node.get(), std::move(links));
  std::lock_guard lock(mutex_);
  node_ = std::move(node);
  gossip_ = std::move(gossip);
  for (LocalStoragePeer* peer : peers_) peer->NodeChanged();
  return absl::OkStatus();
}

protocol::NodeStatus LocalNode::Status() const {
  const std::shared_ptr<storage::StorageNode> running = node();
  return running == nullptr ? protocol::NodeStatus{.node = member_.node} : running->Status();
}

void LocalNode::Stop() {
  std::shared_ptr<storage::StorageNode> node;
  std::unique_ptr<storage::GossipRunner> gossip;
  {
    std::lock_guard lock(mutex_);
    gossip = std::move(gossip_);
    node = std::move(node_);
    node_ = nullptr;
    // Each waits for its thread, which takes this lock only through reachable(): see there.
    for (LocalStoragePeer* peer : peers_) peer->NodeChanged();
  }
  gossip = nullptr;  // outside the lock: it may be asking this node whether it is connected
  // The peers' threads, and those of nodes that fetch from it, let go of it as they come to it;
  // this is the last reference or they are.
  while (node && node.use_count() > 1) {
    std::vector<LocalStoragePeer*> peers;
    {
      std::lock_guard lock(mutex_);
      peers = peers_;
    }
    for (LocalStoragePeer* peer : peers) peer->WaitIdle();
  }
}

void LocalNode::SetConnected(bool is_connected) {
  std::lock_guard lock(mutex_);
  is_connected_ = is_connected;
  for (LocalStoragePeer* peer : peers_) peer->NodeChanged();
}

std::unique_ptr<compute::StoragePeer> LocalNode::MakePeer() {
  auto peer = std::make_unique<LocalStoragePeer>(this);
  std::lock_guard lock(mutex_);
  peers_.push_back(peer.get());
  return peer;
}

std::shared_ptr<storage::StorageNode> LocalNode::node() const {
  std::lock_guard lock(mutex_);
  return node_;
}

std::shared_ptr<storage::StorageNode> LocalNode::reachable() const {
  std::lock_guard lock(mutex_);
  return is_connected_ ? node_ : nullptr;
}

void LocalNode::Forget(LocalStoragePeer* peer) {
  std::lock_guard lock(mutex_);
  peers_.erase(std::remove(peers_.begin(), peers_.end(), peer), peers_.end());
}

}  // namespace sextant::embedded
