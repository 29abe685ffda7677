// GossipRunner: the thread that fetches from peers what a node's segments lack or found damaged.
//
// The shell around three machines of storage-node/segment: Gossip asks for log records, Rebuild for
// pages where the peers' log no longer reaches down, PageRepair for single pages that are damaged
// here. It uses a StorageNode from outside, as a writer would: an append stream brings in what was
// fetched. Sleeps until a batch or a heartbeat shows a gap, or damage is met, then looks every
// `interval` until all is held; within a byte budget.
//
// Thread-safety: counters() from any thread. Must be destroyed before the node; that waits for the
// request that is under way, so a PeerNode must give up in reasonable time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/rate_budget.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/gossip.h"
#include "storage-node/segment/page_repair.h"
#include "storage-node/segment/rebuild.h"
#include "storage-node/server/peer_node.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage {

struct GossipRunnerOptions {
  GossipOptions gossip;
  RebuildOptions rebuild;
  PageRepairOptions page_repair;
  // Fetches about so much a second.
  uint64_t bytes_per_second = 64ull << 20;
  absl::Duration interval = absl::Milliseconds(100);
  // A peer that could not be reached is left alone for so long.
  absl::Duration peer_rest = absl::Seconds(1);
};

struct GossipCounters {   // since start
  uint64_t requests = 0;  // to peers
  uint64_t failures = 0;  // of them: unreachable, refused, or a damaged answer
  uint64_t records = 0;   // fetched
  uint64_t pages = 0;     // copied, for segments that are rebuilt
  uint64_t rebuilds = 0;  // passes that came to their end
  uint64_t repaired_pages = 0;
};

class GossipRunner {
 public:
  GossipRunner(StorageNode* node, PeerNodes peers, GossipRunnerOptions options = {});
  ~GossipRunner();

  GossipCounters counters() const;

 private:
  struct Peer {
    std::shared_ptr<PeerNode> node;
    bool is_out = false;
    Instant rests_until;
  };
  // Of one segment that lacks something.
  struct Machines {
    Gossip gossip;
    Rebuild rebuild;
  };
  struct Pass {
    bool is_lacking = false;   // some segment is
    bool is_progress = false;  // some segment got something: look again at once
  };

  void Run();
  void Wake();
  Pass LookAtAll();
  Prng PrngOf(SegmentId segment) const;
  std::vector<quorum::Slot> PeersOf(const protocol::SegmentStatus& status) const;
  // These give true if the segment got something.
  bool ServeLacking(const protocol::SegmentStatus& status);
  bool ServeGossip(const protocol::SegmentStatus& status, Machines* machines);
  bool ServeRebuild(const protocol::SegmentStatus& status, Rebuild* rebuild);
  bool CopyPages(const protocol::SegmentStatus& status, const Rebuild::Ask& ask, Rebuild* rebuild);
  bool ReadBack(SegmentId segment, const Rebuild::ReadBack& what, Rebuild* rebuild);
  bool FinishRebuild(SegmentId segment, const Rebuild::Finish& finish, Rebuild* rebuild);
  bool ServeRepair(const protocol::SegmentStatus& status, PageRepair* repair);
  // The segment is whole, or gone.
  void Forget(SegmentId segment);
  // Appends a peer's answer; the segment's SCL afterwards.
  Lsn Take(const protocol::SegmentStatus& status, const Gossip::Ask& ask,
           const protocol::ReadLogReply& reply);
  // Asks the member in that slot.
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(const protocol::SegmentStatus& status, quorum::Slot slot,
                             absl::StatusOr<Reply> (PeerNode::*method)(const Request&),
                             const Request& request);
  void NoteReachable(const std::string& name, Peer* peer, const absl::Status& status);
  // Appends one batch and waits for its acknowledgement; nothing: none came.
  std::optional<protocol::AppendAck> Append(const log::EncodedBatch& batch);

  StorageNode* const node_;
  const GossipRunnerOptions options_;
  const std::string name_;  // the node's own
  std::map<std::string, Peer> peers_;
  std::map<SegmentId, Machines> machines_;   // of segments that lacked something
  std::map<SegmentId, PageRepair> repairs_;  // of segments that met damaged pages
  RateBudget budget_;
  std::atomic<uint64_t> requests_{0}, failures_{0}, records_{0};
  std::atomic<uint64_t> pages_{0}, rebuilds_{0}, repaired_pages_{0};

  std::atomic<bool> is_woken_{true};  // look once at the start
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;                // guarded by mutex_
  std::optional<protocol::AppendAck> ack_;  // guarded by mutex_
  std::unique_ptr<StorageNode::AppendStream> stream_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace sextant::storage
