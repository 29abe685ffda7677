// Segment is a state machine: one copy of one protection group, on one storage node. Core.
//
// Inputs are its methods; duties come out of TakeOutput(). It owns no thread, clock, disk or socket, so
// the storage node, the simulator and the unit tests drive the same object. It decides what to keep,
// what to acknowledge and what to refuse; it never returns a page or a record itself: it says where
// they lie (PlanPageRead, PlanLogRead), and the shell fetches them without holding anything up.
//
// Cut: SegmentLog knows the chain and the SCL; EpochFence who may write; PageIndex which records make
// a page; this class only routes between them and holds answers back until they are durable.
//
// Invariants (docs/PROTOCOL.md):
//   - SCL counts only what the shell has reported persisted, and never spans a gap.
//   - Once a RaiseEpoch for e+1 was taken in, nothing of an epoch <= e is accepted, even before the
//     raise itself is durable; its reply leaves only after it is.
//   - A record that a truncation annuls is never indexed, chained or served, whenever it arrives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/strong_int.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/epoch_fence.h"
#include "storage-node/segment/page_index.h"
#include "storage-node/segment/segment_log.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// Names the party or request that an answer is for; chosen by the shell, opaque here.
using ReplyToken = StrongInt<struct ReplyTokenTag>;
// Names one set of duties to persist; tickets ascend.
using PersistTicket = StrongInt<struct PersistTicketTag>;

// In this order: make `persist` durable, then report Persisted(ticket). Answers in `acks` and
// `epoch_replies` may leave at once: whatever they depend on is already durable.
struct SegmentOutput {
  StoreWrite persist;       // may be empty: then there is no ticket to report
  PersistTicket ticket;
  struct Ack {
    ReplyToken to;
    protocol::AppendAck ack;
  };
  std::vector<Ack> acks;
  struct EpochReply {
    ReplyToken to;
    absl::StatusOr<protocol::SegmentStatus> reply;
  };
  std::vector<EpochReply> epoch_replies;
};

// Where the records lie that make a page as of a read point, oldest first. Those at or below the LSN of
// the newest stored page version need not be fetched.
struct PageReadPlan {
  PageNo page;
  Lsn read_point;
  std::vector<RecordLocation> records;
  // A version materialised at this read point may be kept: nothing can annul it any more.
  bool may_store = false;
};

// Where the records of a log range lie, in LSN order.
struct LogReadPlan {
  std::vector<RecordLocation> records;
  Lsn scl;
  bool is_last = true;
};

class Segment {
 public:
  explicit Segment(SegmentState state);

  // --- start-up: every stored batch in position order, then FinishRestore. `batch` is what decoding the
  // stored bytes gave; a damaged one leaves a gap that is remembered as damage, not as absence.
  void Restore(LogPosition position, const absl::StatusOr<log::BatchView>& batch);
  void FinishRestore(const std::optional<LogHighWater>& high_water);

  // --- inputs
  // A batch whose bytes and CRCs were verified. `view` points into `bytes`.
  void Append(const log::BatchView& view, std::shared_ptr<const std::string> bytes, ReplyToken from);
  void RaiseEpoch(const protocol::RaiseEpochRequest& request, ReplyToken from);
  // Everything handed out with tickets <= `ticket` is durable.
  void Persisted(PersistTicket ticket);
  // The store refused `ticket` for want of room; nothing of it was written. Its batches are answered
  // RESOURCE_EXHAUSTED and forgotten; tickets given out later were refused with it.
  void PersistRefused(PersistTicket ticket, const absl::Status& why);

  SegmentOutput TakeOutput();

  // --- queries
  absl::StatusOr<std::vector<PageReadPlan>> PlanPageRead(const protocol::ReadPagesRequest& request) const;
  absl::StatusOr<LogReadPlan> PlanLogRead(const protocol::ReadLogRequest& request) const;
  protocol::SegmentStatus Status() const;
  const SegmentState& state() const { return state_; }

 private:
  struct PendingWrite;  // handed out, not yet durable: what to do once it is

  SegmentState state_;
  // filled in by the implementation
};

}  // namespace sextant::storage
