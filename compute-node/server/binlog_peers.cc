// See binlog_peers.h.
#include "compute-node/server/binlog_peers.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "common/rpc/channel.h"
#include "common/rpc/status.h"

namespace sextant::server {

uint64_t DrawId() {
  std::random_device device;
  return std::uniform_int_distribution<uint64_t>(1, INT64_MAX)(device);
}

BinlogPeers::BinlogPeers(const std::vector<ComputeNodeAddress>& nodes, const std::string& self) {
  for (const ComputeNodeAddress& node : nodes) {
    if (node.node == self) continue;
    peers_.push_back(
        {.address = node, .stub = v1::BinlogService::NewStub(rpc::MakeChannel(node.address))});
  }
}

std::vector<BinlogPeer> BinlogPeers::AskAll(absl::Duration timeout, const Call& call) const {
  std::vector<BinlogPeer> answers = peers_;
  const auto deadline = std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout);
  std::vector<std::thread> threads;
  for (BinlogPeer& peer : answers) {
    threads.emplace_back([&peer, &call, deadline] {
      grpc::ClientContext context;
      context.set_deadline(deadline);
      peer.answer = rpc::FromGrpc(call(&context, &peer), peer.address.node);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return answers;
}

std::vector<BinlogPeer> BinlogPeers::Ask() const {
  return AskAll(kPatience, [](grpc::ClientContext* context, BinlogPeer* peer) {
    return peer->stub->GetStatus(context, v1::BinlogStatusRequest(), &peer->status);
  });
}

std::vector<BinlogPeer> BinlogPeers::AskToPledge(const binlog::Pledge& pledge,
                                                 absl::Duration timeout) const {
  v1::BinlogPledgeRequest request;
  request.set_tenure(pledge.tenure);
  request.set_candidate(pledge.candidate);
  return AskAll(timeout, [&request](grpc::ClientContext* context, BinlogPeer* peer) {
    return peer->stub->Pledge(context, request, &peer->status);
  });
}

const BinlogPeer* BinlogPeers::FindSource(const std::vector<BinlogPeer>& peers, uint64_t tenure) {
  const BinlogPeer* best = nullptr;
  for (const BinlogPeer& peer : peers) {
    if (!peer.is_reachable() || peer.status.role() != "binlog-source") continue;
    if (peer.status.tenure() < tenure) continue;
    if (best == nullptr || peer.status.tenure() > best->status.tenure()) best = &peer;
  }
  return best;
}

uint64_t BinlogPeers::HighestTenure(const std::vector<BinlogPeer>& peers) {
  uint64_t highest = 0;
  for (const BinlogPeer& peer : peers) {
    if (peer.is_reachable()) highest = std::max<uint64_t>(highest, peer.status.tenure());
  }
  return highest;
}

uint64_t BinlogPeers::HighestPledge(const std::vector<BinlogPeer>& peers) {
  uint64_t highest = 0;
  for (const BinlogPeer& peer : peers) {
    if (peer.is_reachable()) highest = std::max<uint64_t>(highest, peer.status.pledged());
  }
  return highest;
}

}  // namespace sextant::server
