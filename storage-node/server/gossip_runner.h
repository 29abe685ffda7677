// GossipRunner: the thread that fetches from peers the log records that a node's segments lack.
//
// The shell around storage::Gossip (storage-node/segment/gossip.h), which decides what to ask; it
// uses a StorageNode from outside, as a writer would: an append stream brings in what was fetched.
// Sleeps until a batch or a heartbeat shows a gap, then looks every `interval` until all is held.
//
// Thread-safety: counters() from any thread. Must be destroyed before the node; that waits for the
// request that is under way, so a PeerLog must give up in reasonable time.
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
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/gossip.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage {

// Reads log records from one peer; called by the runner's thread, one call at a time. UNAVAILABLE
// and DEADLINE_EXCEEDED: the peer cannot be reached.
using PeerLog =
    std::function<absl::StatusOr<protocol::ReadLogReply>(const protocol::ReadLogRequest&)>;
// By node name. The node's own is never asked, so that all nodes may be given the same list.
using PeerLogs = std::map<std::string, PeerLog>;

struct GossipRunnerOptions {
  GossipOptions gossip;
  absl::Duration interval = absl::Milliseconds(100);
  // A peer that could not be reached is left alone for so long.
  absl::Duration peer_rest = absl::Seconds(1);
};

struct GossipCounters {   // since start
  uint64_t requests = 0;  // to peers
  uint64_t failures = 0;  // of them: unreachable, refused, or a damaged answer
  uint64_t records = 0;   // fetched
};

class GossipRunner {
 public:
  GossipRunner(StorageNode* node, PeerLogs peers, GossipRunnerOptions options = {});
  ~GossipRunner();

  GossipCounters counters() const;

 private:
  struct Peer {
    PeerLog read;
    bool is_out = false;
    Instant rests_until;
  };
  struct Pass {
    bool is_lacking = false;   // some segment is
    bool is_progress = false;  // some segment got something: look again at once
  };

  void Run();
  void Wake();
  Pass LookAtAll();
  // True if the segment got something.
  bool Serve(const protocol::SegmentStatus& status, Instant now);
  std::vector<quorum::Slot> PeersOf(const protocol::SegmentStatus& status) const;
  // Asks, appends; the segment's SCL afterwards.
  Lsn Fetch(const protocol::SegmentStatus& status, const Gossip::Ask& ask);
  absl::StatusOr<protocol::ReadLogReply> Call(const std::string& name,
                                              const protocol::ReadLogRequest& request);
  void NoteReachable(const std::string& name, Peer* peer, const absl::Status& status);
  // Appends one batch and waits for its acknowledgement; nothing: none came.
  std::optional<protocol::AppendAck> Append(const log::EncodedBatch& batch);

  StorageNode* const node_;
  const GossipRunnerOptions options_;
  const std::string name_;  // the node's own
  std::map<std::string, Peer> peers_;
  std::map<SegmentId, Gossip> machines_;  // of segments that lacked something
  std::atomic<uint64_t> requests_{0}, failures_{0}, records_{0};

  std::atomic<bool> is_woken_{true};  // look once at the start
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;                // guarded by mutex_
  std::optional<protocol::AppendAck> ack_;  // guarded by mutex_
  std::unique_ptr<StorageNode::AppendStream> stream_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace sextant::storage
