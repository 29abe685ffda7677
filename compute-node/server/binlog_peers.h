// BinlogPeers: the other nodes of the traditional path, as they answer now.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "compute-node/binlog/replication/pledge.h"
#include "compute-node/server/compute_flags.h"
#include "sextant/v1/binlog.grpc.pb.h"

namespace sextant::server {

struct BinlogPeer {
  ComputeNodeAddress address;
  std::shared_ptr<v1::BinlogService::Stub> stub;
  absl::Status answer = absl::UnavailableError("not asked");
  v1::BinlogStatus status;
  bool is_reachable() const { return answer.ok(); }
};

// Random, never 0: for nodes and tenures.
uint64_t DrawId();

class BinlogPeers {
 public:
  // All of `nodes` but `self`.
  BinlogPeers(const std::vector<ComputeNodeAddress>& nodes, const std::string& self);

  size_t size() const { return peers_.size(); }
  // Long enough for a node that is busy, short enough to be asked again and again.
  static constexpr absl::Duration kPatience = absl::Milliseconds(700);

  // Asks all of them, and waits for at most kPatience in all. Thread-safe.
  std::vector<BinlogPeer> Ask() const;
  // As Ask, for at most `timeout`; each that is reachable has pledged (BinlogService.Pledge).
  std::vector<BinlogPeer> AskToPledge(const binlog::Pledge& pledge, absl::Duration timeout) const;
  // The source of the highest tenure, not below `tenure`, among those asked; null: none answers.
  static const BinlogPeer* FindSource(const std::vector<BinlogPeer>& peers, uint64_t tenure);
  // That anybody among those asked has heard of; 0: nobody answers.
  static uint64_t HighestTenure(const std::vector<BinlogPeer>& peers);
  // That anybody among those asked has pledged; 0: nobody.
  static uint64_t HighestPledge(const std::vector<BinlogPeer>& peers);

 private:
  using Call = std::function<grpc::Status(grpc::ClientContext* context, BinlogPeer* peer)>;
  std::vector<BinlogPeer> AskAll(absl::Duration timeout, const Call& call) const;

  std::vector<BinlogPeer> peers_;
};

}  // namespace sextant::server
