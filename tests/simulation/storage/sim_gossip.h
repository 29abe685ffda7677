// SimGossip: storage-node/server/gossip_runner.h without its thread. One request at a time.
//
// Sleeps until a batch or heartbeat shows a gap or damage is met, looks at all segments, asks a
// peer for each that lacks log records (Gossip), pages (Rebuild) or has a damaged page version
// (PageRepair), takes the answer in and goes on to the next; then looks again, at once after
// progress, otherwise after the interval.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage-node/segment/gossip.h"
#include "storage-node/segment/page_repair.h"
#include "storage-node/segment/rebuild.h"
#include "storage-node/segment/segment.h"
#include "tests/simulation/network/network.h"

namespace sextant::simulation {

class StorageHost;

struct GossipPlan {
  storage::GossipOptions machine;
  storage::RebuildOptions rebuild;
  storage::PageRepairOptions page_repair;
  absl::Duration interval = absl::Milliseconds(100);
  absl::Duration peer_rest = absl::Seconds(1);
  absl::Duration patience = absl::Milliseconds(500);  // for an answer and for an acknowledgement
  uint64_t max_copy_bytes = 2048;                     // several replies for a group's pages
};

class SimGossip {
 public:
  using PageReplyDone = Network::Answer<protocol::ReadPagesReply>;
  struct Node {  // what it uses of its node
    // Not by the segment's slot: that may lie beyond the members that it knows, or be another's.
    std::string name;
    std::function<std::vector<protocol::SegmentStatus>()> statuses;
    std::function<void(std::shared_ptr<const std::string>)> append;
    // The node of that name; null if there is none but the own.
    std::function<StorageHost*(const std::string&)> find;
    Network* network;
    std::function<std::set<std::pair<SegmentId, storage::DamagedPage>>()> take_damaged_pages;
    std::function<void(const protocol::ReadPagesRequest&, PageReplyDone)> read_pages;
    std::function<absl::Status(SegmentId, const std::vector<protocol::CopyPagesReply::Page>&)>
        store_pages;
    std::function<void(SegmentId, const storage::Rebuild::ReadBack&,
                       std::function<void(absl::Status)>)>
        read_back;
    std::function<void(SegmentId, IncarnationId, const storage::LogStart&,
                       std::function<void(absl::Status)>)>
        begin_log_at;
    std::function<absl::Status(SegmentId, const storage::PageRepair::Replace&)> replace_page;
  };
  SimGossip(Sim* sim, ProcessId process, const GossipPlan& plan, Node node)
      : sim_(*sim), process_(process), plan_(plan), node_(std::move(node)) {}

  void Start() { Look(); }
  void Wake();
  void Acked(const protocol::AppendAck& ack);
  uint64_t requests() const { return requests_; }

 private:
  // Of one segment that lacks something.
  struct Machines {
    storage::Gossip gossip;
    storage::Rebuild rebuild;
  };
  // Of a segment in a pass, in this order.
  enum class Stage { kLacking, kRepair, kDone };

  void Look();
  void LookAtNext();
  // The current stage is over; `is_progress`: the segment got something.
  void Done(bool is_progress);
  void ServeLacking();
  void ServeRepair();
  std::vector<quorum::Slot> Peers() const;
  // Asks the member in that slot.
  template <typename Reply, typename Request>
  void Ask(quorum::Slot slot, const Request& request,
           void (StorageHost::*method)(const Request&, Network::Answer<Reply>),
           Network::Answer<Reply> done);
  // --- log records
  void ServeGossip(Machines* machines);
  void LogAnswered(const absl::StatusOr<protocol::ReadLogReply>& reply);
  void AppendNext();
  void FinishGossip();
  // --- pages
  void ServeRebuild(storage::Rebuild* rebuild);
  void PagesCopied(const absl::StatusOr<protocol::CopyPagesReply>& reply);
  void PageMade(const absl::StatusOr<protocol::ReadPagesReply>& reply, bool is_from_peer);
  void PageReplaced(const storage::PageRepair::Replace& replace, bool is_from_peer);

  Instant now() const { return sim_.loop.LocalNow(process_); }
  Prng PrngOf(SegmentId segment) const {
    return Prng(process_.value() * 7919 + segment.pg.value());
  }
  const protocol::SegmentStatus& current() const { return statuses_[index_]; }

  Sim& sim_;
  const ProcessId process_;
  const GossipPlan plan_;
  const Node node_;
  std::map<SegmentId, Machines> machines_;
  std::map<SegmentId, storage::PageRepair> repairs_;
  std::map<std::string, Instant> rests_;

  bool is_looking_ = false;
  bool is_woken_ = false;
  bool is_lacking_ = false, is_progress_ = false;  // of this pass
  std::vector<protocol::SegmentStatus> statuses_;  // of this pass
  size_t index_ = 0;
  Stage stage_ = Stage::kLacking;
  protocol::ReadLogRequest request_;
  std::vector<log::EncodedBatch> batches_;
  size_t next_batch_ = 0;
  Lsn scl_;
  uint64_t waiting_ = 0;  // number of the acknowledgement waited for; 0: none
  uint64_t appended_ = 0;
  uint64_t requests_ = 0;
};

}  // namespace sextant::simulation
