// SimGossip: storage-node/server/gossip_runner.h without its thread. One request at a time.
//
// Sleeps until a batch or heartbeat shows a gap, looks at all segments, asks a peer for each that
// lacks records, appends the answer batch by batch and waits for each acknowledgement; then looks
// again, at once after progress, otherwise after the interval.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "storage-node/segment/gossip.h"
#include "tests/simulation/network/network.h"

namespace sextant::simulation {

struct GossipPlan {
  storage::GossipOptions machine;
  absl::Duration interval = absl::Milliseconds(100);
  absl::Duration peer_rest = absl::Seconds(1);
  absl::Duration patience = absl::Milliseconds(500);  // for an answer and for an acknowledgement
};

class SimGossip {
 public:
  struct Node {  // what it uses of its node
    std::function<std::vector<protocol::SegmentStatus>()> statuses;
    std::function<void(std::shared_ptr<const std::string>)> append;
    // Asks the node of that name; false if there is none but the own.
    std::function<bool(const std::string& peer, const protocol::ReadLogRequest&,
                       Network::Answer<protocol::ReadLogReply>)>
        ask;
  };
  SimGossip(Sim* sim, ProcessId process, const GossipPlan& plan, Node node)
      : sim_(*sim), process_(process), plan_(plan), node_(std::move(node)) {}

  void Start() { Look(); }
  void Wake();
  void Acked(const protocol::AppendAck& ack);
  uint64_t requests() const { return requests_; }

 private:
  void Look();
  void LookAtNext();
  void Answered(const std::string& peer, const absl::StatusOr<protocol::ReadLogReply>& reply);
  void AppendNext();
  void Finish();
  Instant now() const { return sim_.loop.LocalNow(process_); }
  const protocol::SegmentStatus& current() const { return statuses_[index_]; }

  Sim& sim_;
  const ProcessId process_;
  const GossipPlan plan_;
  const Node node_;
  std::map<SegmentId, storage::Gossip> machines_;
  std::map<std::string, Instant> rests_;

  bool is_looking_ = false;
  bool is_woken_ = false;
  bool is_lacking_ = false, is_progress_ = false;  // of this pass
  std::vector<protocol::SegmentStatus> statuses_;  // of this pass
  size_t index_ = 0;
  protocol::ReadLogRequest request_;
  std::vector<log::EncodedBatch> batches_;
  size_t next_batch_ = 0;
  Lsn scl_;
  uint64_t waiting_ = 0;  // number of the acknowledgement waited for; 0: none
  uint64_t appended_ = 0;
  uint64_t requests_ = 0;
};

}  // namespace sextant::simulation
