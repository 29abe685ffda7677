// StorageNode: the segments of one node, their store and their threads, with no transport.
//
// The shell around storage::Segment. gRPC (storage_service.h) and the in-process cluster
// (embedded/) are two thin fronts of it. Each segment has a lock that is never held over I/O; one
// committer thread gathers what all segments want persisted, commits it with one sync (group
// commit) and then releases the acknowledgements. Reads run on the calling thread.
//
// Thread-safety: all methods from any thread; callbacks (acks, replies, the fatal handler) must not
// call back into the node. Streams end before the node does.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/page_repair.h"
#include "storage-node/segment/rebuild.h"
#include "storage-node/segment/scrub.h"
#include "storage-node/segment/segment.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// Background work of a node (upkeep_runner.h).
struct UpkeepOptions {
  bool is_enabled = true;
  // Reads and writes about so much a second, and pauses while batches are committed.
  uint64_t bytes_per_second = 64ull << 20;
  // Looks for something to do so often.
  absl::Duration interval = absl::Seconds(1);
  CollectOptions collect;
  ScrubOptions scrub;
  // Of it for scrubbing, at most.
  uint64_t scrub_bytes_per_second = 8ull << 20;
};

struct StorageNodeOptions {
  std::string node;  // "az1-a"
  std::string zone;  // "az1"
  // Refuse batches (RESOURCE_EXHAUSTED) that wait for the committer beyond this many bytes.
  uint64_t max_pending_bytes = 256ull << 20;
  // Keep a materialised page when making it applied at least this many records.
  int store_page_after_records = 16;
  UpkeepOptions upkeep;
  // Told how long each sync took, on the committer thread; may be empty.
  std::function<void(absl::Duration)> observe_commit;
};

struct StorageNodeCounters {  // since start; read without stopping anything
  uint64_t batches = 0, records = 0, batch_bytes = 0;
  uint64_t commits = 0;  // syncs
  uint64_t page_reads = 0, page_read_errors = 0, records_applied = 0, pages_stored = 0;
  uint64_t pages_copied = 0;  // given to peers that are rebuilt
  uint64_t refused_fenced = 0, refused_damaged = 0, refused_no_space = 0, refused_backlog = 0;
  uint64_t collect_rounds = 0, collect_failures = 0;  // of the log
  uint64_t damaged_pages = 0;    // times that a stored version failed its checksum
  uint64_t damaged_batches = 0;  // of the log that could not be read any more
  uint64_t scrub_passes = 0, scrub_bytes = 0;
};

class StorageNode {
 public:
  // A failed write or sync ends a storage node: `on_fatal` is called once with the error, on the
  // committer thread, and nothing is acknowledged from then on. A process exits there.
  using FatalHandler = std::function<void(const absl::Status&)>;

  // Loads every segment of `store`, verifying its log. DATA_LOSS: a segment's state cannot be
  // trusted.
  static absl::StatusOr<std::unique_ptr<StorageNode>> Open(StorageNodeOptions options,
                                                           std::unique_ptr<SegmentStore> store,
                                                           FatalHandler on_fatal);
  virtual ~StorageNode() = default;  // stops the committer after a last commit

  // One peer's stream of batches. Acks come back through `sink`, several at a time, in any order
  // across segments, on the committer thread or inside Append; none after the stream is destroyed.
  class AppendStream {
   public:
    virtual ~AppendStream() = default;
    // Answered by an ack, also when it is refused; a batch so damaged that nobody knows its segment
    // is counted and dropped. Nothing is answered after a fatal error.
    virtual void Append(std::shared_ptr<const std::string> batch) = 0;
  };
  using AckSink = std::function<void(std::vector<protocol::AppendAck>)>;
  virtual std::unique_ptr<AppendStream> OpenStream(AckSink sink) = 0;

  // Which epoch the segment has promised, now. Waits for nothing but the segment's lock: not for
  // the disk, nor for batches that wait for it.
  virtual protocol::EpochAnswer AnswerProbe(const protocol::EpochProbe& probe) const = 0;

  virtual void RaiseEpoch(const protocol::RaiseEpochRequest& request,
                          std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done) = 0;
  // These block for the disk.
  virtual absl::StatusOr<protocol::SegmentStatus> CreateSegment(
      const protocol::CreateSegmentRequest& request) = 0;
  virtual absl::Status DropSegment(const protocol::DropSegmentRequest& request) = 0;
  virtual absl::StatusOr<protocol::ReadLogReply> ReadLog(
      const protocol::ReadLogRequest& request) = 0;
  virtual absl::StatusOr<protocol::ReadPagesReply> ReadPages(
      const protocol::ReadPagesRequest& request) = 0;
  virtual absl::StatusOr<protocol::CopyPagesReply> CopyPages(
      const protocol::CopyPagesRequest& request) = 0;

  // --- for whoever fetches from peers what this node lacks (gossip_runner.h); these block for the
  // disk. A failed write ends the node.
  // Keeps versions that a peer gave, not synced.
  virtual absl::Status StorePages(SegmentId segment,
                                  const std::vector<protocol::CopyPagesReply::Page>& pages) = 0;
  // DATA_LOSS: one of them is not there.
  virtual absl::Status ReadBack(SegmentId segment, const Rebuild::ReadBack& what) = 0;
  // Flushes page versions, then Segment::MoveLogStart.
  virtual absl::Status BeginLogAt(SegmentId segment, IncarnationId incarnation,
                                  const LogStart& to) = 0;
  // What Status() tells of a rebuild; nothing: there is none any more.
  virtual void SetRebuild(SegmentId segment, std::optional<protocol::RebuildProgress> progress) = 0;
  // Stored page versions that reads and scrubbing found damaged, each once.
  virtual std::vector<std::pair<SegmentId, DamagedPage>> TakeDamagedPages() = 0;
  // All but the read floor, which is durable. DATA_LOSS: the image is not there, nothing was
  // dropped.
  virtual absl::Status ReplacePage(SegmentId segment, const PageRepair::Replace& replace) = 0;

  // Called when a batch or heartbeat was taken in and the segment lacks records (Segment::HasGap),
  // or when damage was met; must return at once. Once SetGapHook returns, the hook before is not
  // called any more. Empty: none.
  virtual void SetGapHook(std::function<void()> hook) = 0;

  virtual protocol::NodeStatus Status() const = 0;
  virtual StorageNodeCounters counters() const = 0;
};

}  // namespace sextant::storage
