// ReaderVolume: the volume as a read-only compute node has it. PageVolume's read half, with no copy
// of its own.
//
// A shell around Replica (replica/replica.h): it follows the writer's redo, applies it to the pages
// that it has cached, and publishes VDL; other pages it reads from segments, as a writer does
// (net/volume_reads.h). A view is at one published VDL for all its pages. Appends are refused.
//
// It goes on serving at its last VDL while it is cut off, and looks for the writer for ever. When
// the writer has changed, segments refuse reads of the old epoch; such reads wait until the new
// writer was found, within the deadline of a read. docs/PROTOCOL.md, "Readers".
//
// What WhenDurable and WhenCurrent mean here: a reader promises published VDLs, not the newest. So
// WhenDurable(lsn) waits until this reader shows `lsn` (an LSN token), and WhenCurrent is answered
// at once.
//
// Thread-safety: all methods from any thread. Views must be gone before the volume is destroyed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/histogram.h"
#include "compute-node/cache/page_cache.h"
#include "compute-node/net/page_fetcher.h"
#include "compute-node/net/served_volume.h"
#include "compute-node/net/storage_peer.h"
#include "compute-node/net/timer_queue.h"
#include "compute-node/net/volume_reads.h"
#include "compute-node/reader/redo_source.h"
#include "compute-node/replica/lag_window.h"
#include "compute-node/replica/replica.h"
#include "compute-node/volume/commit_queue.h"
#include "compute-node/volume/page_volume.h"
#include "compute-node/volume/wait_table.h"

namespace sextant::compute {

struct ReaderVolumeOptions {
  std::string node;  // this reader's name
  // Names of all storage nodes that may hold segments, in the order of the peers.
  std::vector<std::string> storage_nodes;
  Replica::Options replica;
  PageFetcher::Options fetch;
  uint64_t page_cache_bytes = 256ull << 20;
  // Of pages that are not cached, so many changes are remembered.
  size_t remembered_changes = size_t{1} << 18;
  size_t max_waits = 65536;
  absl::Duration tick = absl::Milliseconds(20);
  absl::Duration progress_interval = absl::Milliseconds(100);  // when it has changed
  absl::Duration life_sign_interval = absl::Seconds(1);
  absl::Duration reconnect_interval = absl::Milliseconds(200);
  // A stream that says nothing for so long is given up.
  absl::Duration stream_timeout = absl::Seconds(4);
  // A view may be opened this long after vdl() returned its read point, at least.
  absl::Duration read_point_grace = absl::Seconds(1);
  // For metrics; called on any thread, must be quick. May be empty.
  std::function<void(absl::Duration)> on_fetched;            // a page read from segments
  std::function<void(absl::Duration, uint64_t)> on_visible;  // a lag, and of how many commits
};

struct ReaderStatus {
  bool is_open = false;                   // it has reached a writer once
  bool is_following = false;              // now
  std::optional<ComputeNodeName> writer;  // that it follows, or followed last
  std::string detail;                     // why it is cut off
  VolumeId volume;
  VolumeEpoch epoch;
  volume::Geometry geometry;
  Lsn published;
  Lsn floor;                     // nothing below it can be read
  protocol::DurableStep oldest;  // that AsOfLsn and AsOfTime know
  Lsn lowest_read_point;
  uint64_t pending_bytes = 0;
  uint64_t waits = 0;
  ReplicaCounters counters;
  uint64_t applied_changes = 0, dropped_changes = 0, invalidated_changes = 0;
  // In microseconds, of what became visible in the last LagWindow::kSeconds; nullopt: unknown, it
  // is cut off.
  std::optional<Histogram> lag_us;
  absl::Duration last_lag;
};

class ReaderVolume final : public ServedVolume, private ReadSource {
 public:
  // `peers` in the order of options.storage_nodes.
  ReaderVolume(ReaderVolumeOptions options, std::vector<std::unique_ptr<StoragePeer>> peers,
               std::unique_ptr<RedoSource> source);
  ~ReaderVolume() override;  // Shutdown()

  // Begins to look for the writer. `on_open` is told once, on any thread, when the first is found.
  void Start(std::function<void()> on_open = nullptr);
  absl::Status WaitUntilOpen(absl::Duration timeout);
  // Stops all traffic. What waits gets UNAVAILABLE. No callback comes after it returns.
  void Shutdown();

  // OK, or UNAVAILABLE: it has not reached a writer yet.
  absl::Status CheckOpen() const override;
  ReaderStatus status() const;
  std::optional<ComputeNodeName> writer() const;
  VolumeId volume() const override;
  VolumeEpoch epoch() const override;  // of the writer that is followed
  // UNAVAILABLE also where ReadPage waits: a new writer is there and was not found yet.
  void ReadPageAsync(const ReadView& view, PageNo page, VolumeReads::Done done) override;
  // For this node as the writer (WriterVolumeOptions::history); after Shutdown.
  std::vector<protocol::DurableStep> History() const;
  PageCacheCounters cache_counters() const { return cache_.counters(); }
  PageFetcherCounters fetch_counters() const { return fetcher_.counters(); }

  // --- PageVolume
  volume::Geometry geometry() const override;
  Lsn head() const override { return vdl(); }
  Lsn vdl() const override { return Lsn(published_.load(std::memory_order_acquire)); }
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(Lsn read_point) override;
  absl::StatusOr<Lsn> AsOfLsn(Lsn lsn) const override;
  absl::StatusOr<Lsn> AsOfTime(absl::Time time) const override;
  absl::StatusOr<PageRef> ReadPage(const ReadView& view, PageNo page) override;
  void Prefetch(const ReadView& view, const std::vector<PageNo>& pages) override;
  absl::Status CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages) const override;
  absl::StatusOr<Lsn> Append(std::vector<PageWrite> writes) override;
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) override;
  void WhenCurrent(absl::Duration timeout, DurableCallback done) override;

 private:
  class View;

  // --- following (reader_volume.cc)
  void Connect();
  void Found(const ComputeNodeName& writer);
  void Took(protocol::FollowMessage message);
  void Apply(const Replica::Step& step);
  void Publish(const Replica::Step& step);
  void Ended(const absl::Status& why);
  void Tick();
  void ReportProgress(Instant now);
  void MoveReadPointGrace(Instant now);
  Lsn LowestPoint() const;
  void Release(std::vector<WaitRelease> releases);

  // --- reading (reader_volume_pages.cc)
  absl::StatusOr<ReadGrant> BeginRead(PgId pg, Lsn at) override;
  void EndRead(const ReadGrant& grant) override;
  std::vector<NodeIndex> CompleteNodes(const ReadGrant& grant) override;
  void Fetched(absl::Duration latency) override;
  void Fenced() override {}  // ReadPage sees to it
  absl::Status CheckKept(Lsn read_point) const;
  struct ReadPlan {
    PgId pg;
    VolumeEpoch epoch;
  };
  absl::StatusOr<ReadPlan> PlanRead(Lsn at, PageNo page) const;
  bool AwaitEpochAfter(VolumeEpoch epoch, Instant deadline);
  void OpenPoint(Lsn lsn) { ++points_[lsn]; }
  void ClosePoint(Lsn lsn);

  const ReaderVolumeOptions options_;
  TimerQueue timers_;
  std::vector<std::unique_ptr<StoragePeer>> peers_;  // by NodeIndex
  PageCache cache_;
  PageFetcher fetcher_;
  VolumeReads reads_;
  const std::unique_ptr<RedoSource> source_;
  std::function<void()> on_open_;
  std::atomic<uint64_t> published_{0};
  std::atomic<bool> is_open_{false};

  // Of the stream's events and of Connect. Before mutex_, where both are held.
  mutable std::mutex stream_mutex_;
  Replica replica_;

  mutable std::mutex mutex_;         // of all that follows
  std::condition_variable changed_;  // epoch_, is_shut_down_
  // As of the VDL that is published.
  protocol::VolumeShape shape_;
  VolumeEpoch epoch_;
  std::vector<Lsn> tails_;  // by PG
  Lsn floor_;
  std::optional<ComputeNodeName> writer_;
  bool is_following_ = false;  // a stream has begun
  bool is_connecting_ = false;
  std::string detail_ = "looking for the writer";
  Instant heard_at_, connect_at_, reported_at_, next_grace_;
  protocol::FollowProgress reported_;
  CommitQueue commits_;
  WaitTable waits_;
  std::map<Lsn, int> points_;  // open read points, with their counts
  std::vector<Lsn> grace_;     // ascending: for callers that have an LSN and no view yet
  LagWindow lags_;
  absl::Duration last_lag_;
  uint64_t applied_changes_ = 0, dropped_changes_ = 0, invalidated_changes_ = 0;
  ReplicaCounters counters_;
  uint64_t pending_bytes_ = 0;
  bool is_shut_down_ = false;
};

}  // namespace sextant::compute
