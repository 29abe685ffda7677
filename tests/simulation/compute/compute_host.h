// ComputeHost: a simulated compute node, the shell around Opening and Writer.
//
// Does what compute-node/writer/writer_volume*.cc does, in events instead of threads and locks:
// streams that come and go, duties carried out, waits, read points, page reads from one complete
// segment at a time. A process that dies forgets everything; the next Start() is a new claimant.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compute-node/cache/page_cache.h"
#include "compute-node/replica/commit_times.h"
#include "compute-node/replica/followers.h"
#include "compute-node/volume/writer.h"
#include "compute-node/writer/opening.h"
#include "compute-node/writer/redo_ring.h"
#include "tests/simulation/compute/redo_link.h"
#include "tests/simulation/network/network.h"
#include "tests/simulation/network/streams.h"
#include "tests/simulation/storage/storage_host.h"

namespace sextant::simulation {

// How compute nodes are set up; drawn per seed.
struct ComputePlan {
  compute::WriterOptions writer;
  compute::Recovery::Options recovery;
  absl::Duration opening_retry = absl::Milliseconds(50);
  absl::Duration tick = absl::Milliseconds(5);
  absl::Duration call_timeout = absl::Milliseconds(100);
  absl::Duration reconnect_low = absl::Milliseconds(1);
  absl::Duration reconnect_high = absl::Milliseconds(40);
  absl::Duration read_deadline = absl::Milliseconds(500);
  uint64_t max_log_read_bytes = 4096;  // several chunks for a tail
  uint64_t hedge_one_in = 4;           // page reads that ask two at once
  // --- readers
  compute::Followers::Options followers;
  uint64_t redo_ring_bytes = 4096;
  uint64_t redo_message_bytes = 1024;
  // A mini-transaction of so many changes is told without payloads, or not at all.
  uint64_t notice_changes = 5, too_large_changes = 6;
  uint64_t reader_pending_bytes = 1 << 20;
  uint64_t cache_bytes = 6000;  // of a writer, of a reader
  size_t remembered_changes = 64;
};

class ComputeHost {
 public:
  using ReadDone = std::function<void(absl::StatusOr<page::PageImage>)>;
  using DurableDone = std::function<void(const absl::Status&)>;

  struct World {  // what it lives in
    Sim* sim;
    Network* network;
    Streams* streams;
    const ComputePlan* plan;
    volume::Membership membership;            // to found it on
    std::optional<volume::Descriptor> fresh;  // to found
    std::vector<StorageHost*> nodes;
  };
  ComputeHost(World world, ComputeNo compute);

  // --- life
  void Start();
  void Kill();
  bool is_up() const { return running_ != nullptr; }
  ProcessId process() const { return process_; }
  // The process dies once recovery is in `phase` and this many steps on.
  void KillIn(compute::Recovery::Phase phase, int steps) { kill_in_ = {phase, steps}; }

  // --- its volume
  bool is_open() const { return is_up() && running_->writer && !running_->writer->is_fenced(); }
  // Recovery failed, or another writer took over.
  bool is_over() const;
  std::string Describe() const;
  compute::Writer* writer() { return is_up() ? running_->writer.get() : nullptr; }
  const compute::RecoveredVolume& recovered() const { return running_->recovered; }
  VolumeEpoch epoch() const { return running_->recovered.epoch; }

  // The caller has passed CheckAppend in this step. `images`: each page as the change leaves it.
  compute::Writer::Appended Append(const std::vector<page::PageChange>& changes,
                                   const std::vector<std::string>& images);
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableDone done);

  // A client's request for the newest version of a page, as the session layer answers it: read,
  // then shown once what was read is durable and this node proven to be the writer still.
  void ReadNewest(PageNo page, absl::Duration timeout, DurableDone done);

  // --- read points and reads; a point must be open while pages are read at it.
  void OpenPoint(Lsn lsn);
  void ClosePoint(Lsn lsn);
  Lsn LowestPoint() const;
  void Read(PageNo page, Lsn read_point, ReadDone done);

  // --- readers: a question for the next of the redo.
  using RedoAnswer = Network::Answer<protocol::FollowMessage>;
  void ServeRedo(const RedoRequest& request, RedoAnswer answer);
  // --- members, as people change them (WriterVolume::ReplaceSegment)
  void ReplaceSegment(PgId pg, const std::string& from, const std::string& to, bool hold,
                      DurableDone done);
  absl::Status UndoReplacement(PgId pg, const std::string& from);
  // A replacement was asked for, and its candidate's node has not said yet what it holds.
  bool IsReplacing() const { return is_up() && running_->replacements > 0; }

 private:
  struct Redo {  // what readers get it from
    explicit Redo(const ComputePlan& plan)
        : ring(plan.redo_ring_bytes), followers(plan.followers) {}
    compute::RedoRing ring;
    compute::Followers followers;
    std::map<compute::FollowerId, uint64_t> turns;      // the last question of each stream
    std::map<compute::FollowerId, RedoAnswer> waiting;  // and how to answer it
    compute::CommitTimes times;
    std::deque<Lsn> undurable;  // commits above VDL
    std::optional<Lsn> hold;    // open as a read point, for readers
    Lsn opening_pgmrpl;
    Instant return_by;
    std::vector<MembershipEpoch> shape_members;  // by PG, at `shape`
    uint64_t shape = 0;
  };
  struct Connection {  // to one storage node
    StreamId stream;
    bool is_up = false;
    uint64_t number = 0;  // counts ups and downs, so that late answers are known
  };
  struct Wait {
    std::optional<Lsn> commit;  // whose outcome is waited for
    DurableDone done;
  };
  struct Running {  // a process's memory
    std::unique_ptr<compute::Opening> opening;
    std::unique_ptr<compute::Writer> writer;
    compute::RecoveredVolume recovered;
    uint32_t pg_count = 0;                // that this shell has taken note of
    std::vector<Connection> connections;  // by node
    compute::Recovery::Phase phase = compute::Recovery::Phase::kDiscover;
    VolumeEpoch claimed;
    bool has_failed = false;
    bool was_behind = false;  // a member was, behind what the writer keeps
    int replacements = 0;     // asked for and not begun
    std::map<compute::WaitToken, Wait> waits;
    compute::WaitToken last_wait;
    std::map<Lsn, int> points;
    std::unique_ptr<Redo> redo;  // once open
    std::unique_ptr<compute::PageCache> cache;
  };
  struct Fetch;
  struct Request;

  Instant now() const { return sim_.loop.LocalNow(process_); }
  // --- compute_host.cc
  void Tick();
  void Settle();
  void CountBehind();
  void FollowOpening();
  void FollowRecovery();
  void BecomeOpen();
  void FollowGrowth();
  void CountInterrupted();
  void Perform(compute::Opening::Duty duty);
  // --- compute_nodes.cc: storage nodes
  template <typename Reply, typename Serve, typename Done>
  void Call(size_t node, Serve serve, Done done);
  void Connect(size_t node);
  void NodeUp(size_t node);
  void NodeDown(size_t node);
  void NodeAcked(size_t node, const protocol::AppendAck& ack);
  void AskForMembers(size_t node);
  void MembersAnswered(size_t node, uint64_t connection,
                       const absl::StatusOr<protocol::NodeStatus>& reply);
  void PerformRaise(const compute::WriterOutput::RaiseEpoch& raise);
  void PerformCreate(const compute::WriterOutput::CreateSegment& create);
  void PerformDrop(const compute::WriterOutput::DropSegment& drop);
  void NodeAnswered(size_t node, const protocol::EpochAnswer& answer);
  std::optional<size_t> NodeNamed(const std::string& name) const;
  // --- compute_redo.cc
  void OpenRedo();
  protocol::VolumeShape Shape() const;
  compute::RedoFeedState FeedState();
  void FeedReaders();
  void NoteCommitTimes();
  void MoveReadersHold();
  void HoldFor(Lsn read_point);
  std::optional<size_t> NodeOf(compute::MemberAddress member) const;
  const std::string& NameOf(size_t node) const { return world_.nodes[node]->member().node; }
  // --- compute_endpoint.cc
  compute::WaitToken Park(std::optional<Lsn> commit, DurableDone done);
  void Present(const std::shared_ptr<Request>& request);
  void Prove(const std::shared_ptr<Request>& request);
  void Show(const std::shared_ptr<Request>& request, const absl::Status& status);
  // --- compute_reads.cc
  std::vector<size_t> CompleteNodes(const Fetch& fetch) const;
  void Ask(const std::shared_ptr<Fetch>& fetch);
  void PageAnswered(const std::shared_ptr<Fetch>& fetch, size_t node,
                    const absl::StatusOr<protocol::ReadPagesReply>& reply);
  void EndFetch(const std::shared_ptr<Fetch>& fetch, absl::StatusOr<page::PageImage> result);

  Sim& sim_;
  const World world_;
  const ComputeNo compute_;
  const ProcessId process_;
  std::unique_ptr<Running> running_;
  std::optional<std::pair<compute::Recovery::Phase, int>> kill_in_;
};

}  // namespace sextant::simulation
