// WriterVolume: the volume as its one writer has it, over six storage nodes. PageVolume's
// implementation.
//
// A shell. One mutex guards the machines: Opening until the volume is open, then Writer. Inputs
// come from transports, callers and a tick; duties leave in the order in which the machine gave
// them. Nothing that may call out (transports, callbacks) runs under the mutex. An acknowledgement
// that makes a commit durable runs that commit's callback on the thread that brought it: one hop
// from ack to reply.
//
// The pages of a commit are published to the cache under the same mutex that moves head() and
// vdl(), so a read point never shows a commit whose pages are not there.
//
// Thread-safety: all methods from any thread. Views must be gone before the volume is destroyed.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "compute-node/cache/page_cache.h"
#include "compute-node/net/page_fetcher.h"
#include "compute-node/net/served_volume.h"
#include "compute-node/net/storage_peer.h"
#include "compute-node/net/timer_queue.h"
#include "compute-node/net/volume_reads.h"
#include "compute-node/replica/commit_times.h"
#include "compute-node/replica/followers.h"
#include "compute-node/volume/page_volume.h"
#include "compute-node/volume/wait_table.h"
#include "compute-node/volume/writer.h"
#include "compute-node/writer/growth_waits.h"
#include "compute-node/writer/opening.h"
#include "compute-node/writer/outbox.h"
#include "compute-node/writer/redo_feed.h"
#include "compute-node/writer/redo_ring.h"

namespace sextant::compute {

struct WriterVolumeOptions {
  // In the order of the peers: the six that a volume is founded on, then the spares.
  std::vector<volume::Member> nodes;
  // What to make if the nodes hold no volume; nullopt: then refuse.
  std::optional<volume::Geometry> create;
  WriterOptions writer;
  Recovery::Options recovery;
  PageFetcher::Options fetch;
  uint64_t page_cache_bytes = 256ull << 20;
  // Of recent redo in memory, for readers and those who tail the log.
  uint64_t redo_ring_bytes = 64ull << 20;
  // `followers.hold` is also how long readers have, after an opening, to come back to what they
  // were reading.
  Followers::Options followers;
  // A reader is sent something at most this often.
  absl::Duration feed_interval = absl::Milliseconds(1);
  // For time travel: everything is kept as it was so long ago.
  absl::Duration retain;
  // The commits that this node knew of as a reader (ReaderVolume::History).
  std::vector<protocol::DurableStep> history;
  absl::Duration tick = absl::Milliseconds(10);
  // A view may be opened this long after head() or vdl() returned its read point, at least.
  absl::Duration read_point_grace = absl::Seconds(1);
  // For metrics; called on any thread, must be quick. May be empty.
  std::function<void(absl::Duration)> on_durable;  // from WhenDurable to its OK
  std::function<void(absl::Duration)> on_fetched;  // a page read from segments
  std::function<void(absl::Duration)> on_grown;    // protection groups added, one step
};

enum class VolumePhase { kWaiting, kCreating, kRecovering, kOpen, kFenced, kFailed, kShutDown };
const char* PhaseName(VolumePhase phase);  // "waiting", "creating", "recovering", "open", ...

struct VolumeStatus {
  VolumePhase phase = VolumePhase::kWaiting;
  std::string detail;           // what is waited for, also by a growth, or why it failed
  absl::Status error;           // not OK: kFenced, kFailed
  VolumeId volume;              // {0} while unknown
  absl::Duration opening_time;  // so far, or in all
  // When open (or fenced):
  volume::Geometry geometry;
  std::vector<volume::Membership> memberships;
  WriterProgress progress;
  WriterCounters counters;
  std::vector<FollowerStatus> readers;
  protocol::DurableStep oldest;  // that AsOfLsn and AsOfTime know
};

class WriterVolume final : public ServedVolume, private ReadSource {
 public:
  // `peers` in the order of options.nodes. INVALID_ARGUMENT: the nodes are not two in each of three
  // zones.
  static absl::StatusOr<std::unique_ptr<WriterVolume>> Make(
      WriterVolumeOptions options, std::vector<std::unique_ptr<StoragePeer>> peers);
  ~WriterVolume() override;  // Shutdown()

  // Connects, founds or recovers, in the background. `on_phase` is told of every change, on any
  // thread.
  void Start(std::function<void(VolumePhase)> on_phase = nullptr);
  // OK once open; DEADLINE_EXCEEDED with what is waited for; the error of kFailed.
  absl::Status WaitUntilOpen(absl::Duration timeout);
  // Waits until what was appended is durable. DEADLINE_EXCEEDED: not in time.
  absl::Status Drain(absl::Duration timeout);
  // Stops all traffic. What waits gets UNAVAILABLE. No callback comes after it returns.
  void Shutdown();

  VolumePhase phase() const { return phase_; }
  // OK, or why the volume cannot be used now: UNAVAILABLE with what is waited for,
  // FAILED_PRECONDITION when fenced or refused.
  absl::Status CheckOpen() const override;
  VolumeStatus status() const;
  PageCacheCounters cache_counters() const { return cache_.counters(); }
  PageFetcherCounters fetch_counters() const { return fetcher_.counters(); }

  void ReadPageAsync(const ReadView& view, PageNo page, VolumeReads::Done done) override;

  // Whether the newest version of every page is cached.
  bool HasHeads(const std::vector<PageNo>& pages) const;
  VolumeEpoch epoch() const override;
  VolumeId volume() const override;

  // Replaces the segment of `pg` on node `from` by one on node `to`; membership_changer.h has the
  // rules. `done`, on any thread: OK when the change is under way; status() tells how far it is.
  // NOT_FOUND: no such group, member or storage node; UNAVAILABLE: ask again.
  void ReplaceSegment(PgId pg, const std::string& from, const std::string& to, bool hold,
                      std::function<void(absl::Status)> done);
  // OK: it will be undone.
  absl::Status UndoReplacement(PgId pg, const std::string& from);

  // Redo above `after` that is still in memory, durable mini-transactions only; see RedoRing::Read.
  bool RecentRedo(Lsn after, uint64_t max_bytes,
                  std::vector<std::shared_ptr<const AppendedMtr>>* out) const;
  // One member's log, read from a complete member, others tried in turn. Blocks.
  absl::StatusOr<protocol::ReadLogReply> ReadLog(PgId pg, Lsn after, Lsn through,
                                                 uint64_t max_bytes);

  // --- readers: the redo stream (replica/followers.h)
  // `follower` is given messages until it is ended; FollowerSent asks for the next. Errors as
  // CheckOpen and Followers::Add.
  absl::StatusOr<FollowerId> Follow(const protocol::FollowHello& hello,
                                    std::shared_ptr<RedoFollower> follower);
  void FollowerProgressed(FollowerId id, const protocol::FollowProgress& progress);
  void FollowerSent(FollowerId id);
  // The reader's end is gone: no call reaches `follower` that has not begun already.
  void StopFollowing(FollowerId id);

  // --- PageVolume
  volume::Geometry geometry() const override;
  Lsn head() const override { return Lsn(head_.load(std::memory_order_acquire)); }
  Lsn vdl() const override { return Lsn(vdl_.load(std::memory_order_acquire)); }
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(Lsn read_point) override;
  absl::StatusOr<Lsn> AsOfLsn(Lsn lsn) const override;
  absl::StatusOr<Lsn> AsOfTime(absl::Time time) const override;
  absl::StatusOr<PageRef> ReadPage(const ReadView& view, PageNo page) override;
  void Prefetch(const ReadView& view, const std::vector<PageNo>& pages) override;
  absl::Status CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages) const override;
  absl::StatusOr<Lsn> Append(std::vector<PageWrite> writes) override;
  // The same for one of several that a caller has at hand: they share a batch, which leaves with
  // the caller's WhenDurable of the last of them, or with whatever else happens before.
  absl::StatusOr<Lsn> AppendGathered(std::vector<PageWrite> writes);
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) override;
  void WhenCurrent(absl::Duration timeout, DurableCallback done) override;
  // Calls `done` once: OK when the volume holds the page, which makes it grow if need be (at once
  // if it already does); OUT_OF_RANGE: it never will; RESOURCE_EXHAUSTED: not within `timeout`;
  // otherwise as CheckOpen. On any thread; must not block.
  void WhenGrown(PageNo page, absl::Duration timeout, DurableCallback done);

 private:
  class View;
  class Effects;  // what must be done once the mutex is released
  struct PreparedAppend {
    std::vector<PageWrite> writes;  // `after` moved to `images`
    std::vector<page::PageChange> changes;
    std::vector<PageNo> pages;
    uint64_t bytes = 0;
    std::vector<std::shared_ptr<page::PageImage>> images;
    bool is_gathered = false;
  };

  struct Node {
    Node(volume::Member member, std::unique_ptr<StoragePeer> peer)
        : member(std::move(member)), peer(std::move(peer)), outbox(this->peer.get()) {}
    volume::Member member;
    std::unique_ptr<StoragePeer> peer;
    Outbox outbox;
    bool is_up = false;
    uint64_t connection = 0;  // counts ups and downs, so that late answers are known
  };

  WriterVolume(WriterVolumeOptions options, volume::Membership membership,
               std::vector<std::unique_ptr<StoragePeer>> peers);

  // --- opening and duties (writer_volume.cc, writer_volume_nodes.cc)
  void Tick();
  void MoveReadPointGrace();
  // Takes the machine's duties and moves phase, head and VDL; `effects` carries out the rest.
  void Settle(Effects* effects);
  void FollowOpening(Effects* effects);
  absl::Status BecomeOpen(const RecoveredVolume& recovered);
  // Takes note of groups that the writer has and this object does not know yet.
  void FollowGrowth(Effects* effects);
  void ReleaseGrown(Effects* effects);
  void SetPhase(VolumePhase phase, Effects* effects);
  void Perform(Opening::Duty duty);
  void PerformRaise(const WriterOutput::RaiseEpoch& raise);
  void PerformCreate(const WriterOutput::CreateSegment& create);
  void PerformDrop(const WriterOutput::DropSegment& drop);
  void NodeUp(NodeIndex node);
  void NodeDown(NodeIndex node, const absl::Status& why);
  void NodeAcked(NodeIndex node, const protocol::AppendAck& ack);
  void NodeAnswered(NodeIndex node, const protocol::EpochAnswer& answer);
  void AskForMembers(NodeIndex node, uint64_t connection);
  void MembersAnswered(NodeIndex node, uint64_t connection,
                       const absl::StatusOr<protocol::NodeStatus>& reply);
  std::optional<NodeIndex> NodeNamed(const std::string& name) const;
  std::optional<NodeIndex> NodeOf(MemberAddress member) const;
  std::string WhyNotOpen() const;
  // Only once open; without the mutex.
  volume::Geometry OpenGeometry() const;

  // --- readers (writer_volume_readers.cc)
  struct Outgoing;
  bool FeedReaders();
  std::vector<Outgoing> PlanFeed();
  void Encode(Outgoing* out);
  void FinishFeed(std::vector<Outgoing>* all);
  RedoFeedState FeedState();
  void NoteCommitTimes();
  void MoveReadersHold(Instant now);
  void HoldFor(Lsn read_point);
  void EndReaders(const absl::Status& why);

  // --- reading and appending (writer_volume_pages.cc)
  absl::StatusOr<ReadGrant> BeginRead(PgId pg, Lsn at) override;
  void EndRead(const ReadGrant& grant) override;
  std::vector<NodeIndex> CompleteNodes(const ReadGrant& grant) override;
  void Fetched(absl::Duration latency) override;
  void Fenced() override;
  // Parks `done` and lets `ask` put the question to the writer's machine.
  void Wait(DurableCallback done, bool is_commit,
            const std::function<void(WaitToken, Instant now)>& ask);
  Lsn LowestPoint() const;
  void OpenPoint(Lsn lsn);
  void ClosePoint(Lsn lsn);
  absl::StatusOr<Lsn> AppendWrites(std::vector<PageWrite> writes, bool is_gathered);
  absl::StatusOr<Lsn> AppendPrepared(PreparedAppend* append);

  const WriterVolumeOptions options_;
  const volume::Membership membership_;
  const Instant started_at_;
  Instant next_report_;  // of the tick's thread
  TimerQueue timers_;
  std::vector<std::unique_ptr<Node>> nodes_;  // by NodeIndex
  PageCache cache_;
  PageFetcher fetcher_;
  VolumeReads reads_;
  std::function<void(VolumePhase)> on_phase_;

  std::atomic<VolumePhase> phase_{VolumePhase::kWaiting};
  std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> vdl_{0};
  std::atomic<uint32_t> pg_count_{0};  // of recovered_'s geometry, as it has grown since

  mutable std::mutex mutex_;  // of all that follows
  std::unique_ptr<Opening> opening_;
  std::unique_ptr<Writer> writer_;
  // Written before phase_ becomes kOpen, constant from then on; groups that were added since, and
  // changes of members, are the writer's to tell.
  std::optional<RecoveredVolume> recovered_;
  GrowthWaits growth_waits_;
  Instant grows_since_ = Instant::Max();  // Max: no growth is under way
  absl::Status error_;
  Instant opened_at_;
  WaitTable waits_;
  RedoRing ring_;
  RedoFeed feed_;
  MtrEncoder encoder_;  // of the feed's thread
  std::atomic<bool> has_readers_{false};
  Followers followers_;
  struct Ending {
    std::shared_ptr<RedoFollower> follower;
    absl::Status why;
  };
  std::map<FollowerId, std::shared_ptr<RedoFollower>> readers_;
  std::vector<Ending> endings_;  // for the feed's thread
  uint64_t next_follower_ = 1;
  std::vector<MembershipEpoch> shape_members_;  // by PG, at shape_version_
  uint64_t shape_version_ = 0;
  CommitTimes times_;
  std::deque<Lsn> undurable_;        // commits above VDL
  std::optional<Lsn> readers_hold_;  // open as a read point, for readers and for time travel
  Instant readers_return_by_;        // what they held before this opening is kept so long
  Lsn opening_pgmrpl_;
  // The newest LSN of every page written since this node opened the volume: what the base of a
  // write is held against. A page that is not here is as recovery left it.
  absl::flat_hash_map<PageNo, Lsn> written_;
  // Open read points of views and reads, with their counts. `grace_`, ascending: those held for
  // callers that have an LSN and have not opened their view yet.
  std::map<Lsn, int> points_;
  std::vector<Lsn> grace_;
  Instant next_grace_;
  bool is_shut_down_ = false;
};

}  // namespace sextant::compute
