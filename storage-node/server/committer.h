// Committer: what a storage node writes, one round after the other. Group commit.
//
// A round gathers what all queued segments want persisted, commits it with one sync, tells the
// segments and delivers the answers that this sets free. What arrives meanwhile makes the next
// round, so the sync itself is the only timer. Internal to server/.
//
// A round runs on the committer's own thread; or, while the disk is quick and that thread has
// nothing to do, on gRPC's, once that has read all that has come: then a lone batch costs no
// hand-off from thread to thread (docs/decisions/2026-11-23-commits-where-they-come-in.md).
//
// Thread-safety: all methods from any thread; hooks run where the round does.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "storage-node/server/answer_router.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/server/storage_node.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class Committer {
 public:
  // All pointers outlive the committer.
  Committer(const StorageNodeOptions& options, SegmentStore* store, AnswerRouter* answers,
            NodeCounters* counters, StorageNode::FatalHandler on_fatal);
  ~Committer();  // finishes what was queued

  // The segment has something to persist or to answer.
  void Enqueue(SegmentSlot* slot);
  // Makes the state of a new segment durable; `done` is told.
  void Create(SegmentState state, std::function<void(absl::Status)> done);
  // Takes a segment off the disk but for `remains`; its slot is_dropped. `done` is told.
  void Drop(SegmentState remains, std::function<void(absl::Status)> done);
  // A write elsewhere failed: the node ends.
  void ReportFatal(absl::Status error);

  // See StorageNode::SetGapHook.
  void SetGapHook(std::function<void()> hook);
  void CallGapHook();

  // Takes room for a batch in the backlog, given back when its round is over; false: it is full.
  bool ReserveBacklog(uint64_t bytes);
  // Something is queued or being committed at this moment.
  bool IsBusy() {
    std::lock_guard<std::mutex> lock(mutex_);
    return !is_waiting_ || is_at_poller_;
  }
  // After a fatal error nothing is taken or answered any more.
  bool has_failed() const { return has_failed_.load(std::memory_order_acquire); }

 private:
  struct Creation {
    SegmentState state;  // is_dropped: what remains
    std::function<void(absl::Status)> done;
  };
  using Tickets = std::vector<std::pair<SegmentSlot*, PersistTicket>>;
  struct Round {
    // What only makes room goes first and by itself: a full disk refuses the rest, not this.
    StoreWrite room;
    Tickets room_tickets;
    StoreWrite write;
    Tickets tickets;
    std::vector<Creation> creations;
    uint64_t backlog_bytes = 0;
    bool has_gap = false;  // of some segment
    std::vector<SegmentOutput::Ack> acks;
    std::vector<SegmentOutput::EpochReply> epoch_replies;
    std::vector<SegmentOutput::LogStartReply> log_start_replies;

    bool is_empty() const { return room.empty() && write.empty(); }
    bool HoldsSomethingOf(SegmentId segment) const;
  };
  struct Queue {
    std::vector<SegmentSlot*> slots;
    std::vector<Creation> creations;
    absl::Status fatal;
    bool empty() const { return slots.empty() && creations.empty() && fatal.ok(); }
  };

  void Run();
  // A round where gRPC's callbacks run.
  void RunAtPoller();
  // Gathers and commits; what the segments want next is left in `round`. False: the node ends.
  bool RunRound(Queue queue, Round* round);
  // Waits for something to do unless `round` has it already; false: stopped and all done.
  bool WaitForWork(const Round& round, Queue* queue);
  void Gather(Queue queue, Round* round);
  // Takes a segment's duties into `round`; with the slot's lock held.
  void Take(SegmentSlot* slot, Round* round);
  // What a dropped segment wants stored is refused; with the slot's lock held.
  void Forget(SegmentSlot* slot, PersistTicket ticket, Round* round);
  absl::Status Commit(const StoreWrite& write);
  // Logs when the disk becomes full, and when it no longer is.
  void TellOfRoom(const absl::Status& status);
  // After Commit: tells the segments; what they want next goes into the round returned.
  Round Settle(Round round, const absl::Status& room_status, const absl::Status& status);
  static void Tell(const Tickets& tickets, const absl::Status& status);
  void Deliver(Round* round);
  void Fail(const absl::Status& error, Round round);
  void Wake(std::unique_lock<std::mutex> lock);

  const uint64_t max_backlog_bytes_;
  const std::function<void(absl::Duration)> observe_commit_;
  SegmentStore* const store_;
  AnswerRouter* const answers_;
  NodeCounters* const counters_;
  const StorageNode::FatalHandler on_fatal_;

  std::atomic<uint64_t> backlog_bytes_{0};
  std::atomic<bool> has_failed_{false};
  std::atomic<bool> is_quick_{true};  // the last sync was
  bool is_full_ = false;              // of the round
  std::mutex gap_hook_mutex_;         // held while the hook runs
  std::function<void()> gap_hook_;    // guarded by gap_hook_mutex_

  std::mutex mutex_;
  std::condition_variable work_;
  Queue queue_;                // guarded by mutex_
  bool is_waiting_ = false;    // the thread is; guarded by mutex_
  bool is_at_poller_ = false;  // a round runs there, or is about to; guarded by mutex_
  bool is_stopping_ = false;   // guarded by mutex_
  std::thread thread_;         // last: uses all of the above
};

}  // namespace sextant::storage
