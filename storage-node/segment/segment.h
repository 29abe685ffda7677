// Segment is a state machine: one copy of one protection group, on one storage node. Core.
//
// Inputs are its methods; duties come out of TakeOutput(). It owns no thread, clock, disk or
// socket, so the storage node, the simulator and the unit tests drive the same object. It decides
// what to keep, what to acknowledge and what to refuse; it never returns a page or a record itself:
// it says where they lie (PlanPageRead, PlanLogRead), and the shell fetches them without holding
// anything up.
//
// Cut: SegmentLog knows the chain and the SCL; EpochFence who may write; VolumeView who the
// members are; PageIndex which records make a page; LogExtent which positions are stored;
// PendingWrites what is not durable yet; this class only routes between them and holds answers
// back. PageFold (page_fold.h) is the shell's tool for carrying out a page plan.
//
// Two tenses: what was promised (the fence) binds at once; everything else here, state() included,
// is what the disk holds, and moves only in Persisted. Equal inputs give equal outputs.
//
// Invariants (docs/PROTOCOL.md, "Storage node"):
//   - SCL counts only what the shell has reported persisted, and never spans a gap.
//   - Once a RaiseEpoch for e+1 was taken in, nothing of an epoch <= e is accepted, even before the
//     raise itself is durable; its reply leaves only after it is.
//   - A record that a truncation annuls is never indexed, chained or served, whenever it arrives.
//   - No log position is dropped while it holds a record that counts above the log start, or, while
//     the segment may lack what it held, at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/epoch_fence.h"
#include "storage-node/segment/log_extent.h"
#include "storage-node/segment/page_index.h"
#include "storage-node/segment/pending_writes.h"
#include "storage-node/segment/record_location.h"
#include "storage-node/segment/segment_log.h"
#include "storage-node/segment/volume_view.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// In this order: make `persist` durable, then report Persisted(ticket), then take the output again:
// there may be more to persist. The answers may leave at once: whatever they depend on is already
// durable.
struct SegmentOutput {
  StoreWrite persist;  // may be empty: then there is no ticket to report
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
  struct LogStartReply {
    ReplyToken to;
    absl::Status status;
  };
  std::vector<LogStartReply> log_start_replies;
};

// Where the records lie that make a page as of a read point, oldest first. Those at or below the
// LSN of the newest stored page version need not be fetched.
struct PageReadPlan {
  PageNo page;
  Lsn read_point;
  // Of the segment when it planned. A base version that was looked up while it was lower may be too
  // old for this plan: look it up again and plan anew. A record that is gone when it is fetched was
  // collected if the segment's log start is higher by then: likewise.
  Lsn log_start;
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

struct CollectOptions {
  // A round must give back so much of the stored log: each one writes a version of every page in
  // it.
  uint64_t min_bytes = 8ull << 20;
  // And takes no more than so many records, so that no step takes long.
  uint64_t max_records = 1 << 20;
};

// What a round of collection makes (collect_round.h): a version as of `through` of each page that
// has a record at or below it, and then the log begin there.
struct CollectPlan {
  Lsn through;
  std::vector<PageNo> pages;
};

// Which pages a peer that copies this segment may be given next.
struct PageCopyPlan {
  Lsn read_point;             // the VDL that this segment was told
  Lsn pg_lsn;                 // the group's last LSN at or below it
  std::vector<PageNo> pages;  // that have changed, as the log kept here shows; ascending
  bool is_last = true;        // the log shows no more
  // Pages of which nothing but stored versions is left may be among those asked for too.
  bool has_stored = false;
};

class Segment {
 public:
  explicit Segment(SegmentState state);

  // --- start-up: every stored batch in position order, then FinishRestore. `batch` is what
  // decoding the stored bytes gave; a damaged one leaves a gap that is remembered as damage, not as
  // absence.
  void Restore(LogPosition position, const absl::StatusOr<log::BatchView>& batch);
  void FinishRestore(const std::optional<LogHighWater>& high_water);

  // --- inputs
  // A batch whose bytes and CRCs were verified. `view` points into `bytes`.
  void Append(const log::BatchView& view, std::shared_ptr<const std::string> bytes,
              ReplyToken from);
  void RaiseEpoch(const protocol::RaiseEpochRequest& request, ReplyToken from);
  // Lets the log begin at `to`; answered once that is durable, in a write of its own that drops the
  // positions no longer needed. The page versions that `to` promises must be durable and verified.
  // For collection, and for a segment that was rebuilt from a peer's pages, with `to.lsn` above
  // SCL: every page that the segment's own log has a record of must be among those pages. Answers:
  // OK; OUT_OF_RANGE: the log starts above `to`; ABORTED: `to` is no LSN of the chain (any more),
  // or another move is under way; RESOURCE_EXHAUSTED: no room, nothing has changed.
  void MoveLogStart(const LogStart& to, ReplyToken from);
  // The batch stored at `position` cannot be read, or is not what was stored there. Its records
  // count as missing, SCL falls below them, and they are wanted again; returns how many there are
  // that lay there and did not count so already.
  size_t MarkDamaged(LogPosition position);
  // Whether the segment may be dropped, with all that it holds; errors as DropSegmentRequest says.
  // `node`: the name of the node that it lies on. Changes nothing: once dropped, it is not to be
  // used any more.
  absl::Status CheckDrop(const protocol::DropSegmentRequest& request, std::string_view node) const;
  // What stays of it on the disk once that request has dropped it (dropped_segments.h).
  SegmentState Remains(const protocol::DropSegmentRequest& request) const;
  // Everything handed out with tickets <= `ticket` is durable.
  void Persisted(PersistTicket ticket);
  // The store refused `ticket` for want of room; nothing of it was written. Its batches are
  // answered RESOURCE_EXHAUSTED and forgotten; tickets given out later were refused with it.
  void PersistRefused(PersistTicket ticket, const absl::Status& why);

  SegmentOutput TakeOutput();

  // --- queries
  // OK: this segment is what the request asks for. It was made by an equal one; or it holds no
  // record and never did, so that it may serve the growth that asks, whichever growth left it
  // behind: the claim that follows brings geometry and members. ABORTED otherwise.
  absl::Status CheckCreate(const protocol::CreateSegmentRequest& request) const;
  // In the order asked for. `base_lsns`: the LSN of the version (at or below the read point) that
  // the caller holds of each page, Lsn{0} for none; a plan then leaves out what that version
  // contains, which spares a page of many records a long plan. Empty: the caller holds none.
  // FAILED_PRECONDITION: fenced. UNAVAILABLE: this segment has yet to learn of the request's epoch.
  // OUT_OF_RANGE: below read_floor(), or not complete. INVALID_ARGUMENT: a page of another
  // protection group.
  absl::StatusOr<std::vector<PageReadPlan>> PlanPageRead(const protocol::ReadPagesRequest& request,
                                                         std::span<const Lsn> base_lsns = {}) const;
  // Only up to SCL. Errors for the epoch as above. OUT_OF_RANGE: records above `after` are not kept
  // as log any more.
  absl::StatusOr<LogReadPlan> PlanLogRead(const protocol::ReadLogRequest& request) const;
  // Whether enough of the log can be collected by now, and what: only what every member that is
  // waited for holds, what nobody reads below any more, and what is durable for the volume. Never
  // while the segment may lack what it held.
  std::optional<CollectPlan> PlanCollect(const CollectOptions& options) const;
  // What makes the version of `page` as of `through`, for somebody who holds it as of `base`.
  PageReadPlan PlanVersion(PageNo page, Lsn through, Lsn base) const;
  // At most `limit` pages of the log's. UNAVAILABLE: not complete through the VDL it was told.
  // Errors for the epoch as above.
  absl::StatusOr<PageCopyPlan> PlanPageCopy(const protocol::CopyPagesRequest& request,
                                            size_t limit) const;
  // For scrubbing: where the records lie that this segment counts on, from the next one above
  // `after`, LSN order, about `max_bytes` of them. scl is not given.
  LogReadPlan PlanScrub(Lsn after, uint64_t max_bytes) const;
  protocol::SegmentStatus Status() const;
  // The promise as it binds now, durable or not: nothing of a lower epoch is taken in any more.
  VolumeEpoch promised_epoch() const { return fence_.epoch(); }
  // Tells of promised_epoch().
  protocol::EpochAnswer Answer(const protocol::EpochProbe& probe) const;
  // Records are missing that were announced durable, or below others that are held.
  bool HasGap() const { return log_.scl() < told_.pg_lsn_at_vdl || log_.records_ahead() > 0; }
  const SegmentState& state() const { return state_; }
  // Records at or below it are not kept as log. Durable; rises only.
  Lsn log_start() const { return log_.start(); }
  // No page is read below it.
  Lsn read_floor() const;

 private:
  // What batch headers told of the volume; rises only.
  struct Told {
    Lsn vdl;
    Lsn pg_lsn_at_vdl;  // belongs to `vdl`
    Lsn pgmrpl;
    Lsn held_by_all;
  };

  // segment.cc: inputs
  absl::Status CheckBatch(const log::BatchView& view) const;
  absl::Status CheckRecord(const log::BatchHeader& batch, const log::RecordView& record) const;
  absl::Status CheckRaise(const protocol::RaiseEpochRequest& request) const;
  std::vector<BatchRecord> WantedRecords(const log::BatchView& view) const;
  bool IsPromiseDurable() const;
  PendingWrite& AfterPending();
  void HandOut(SegmentOutput* out);
  void Apply(PendingWrite write);
  void ApplyBatch(const PendingBatch& batch);
  void ApplyState(SegmentState state);
  void Refuse(ReplyToken to, absl::Status why);
  void ReplyToRaise(const PendingRaise& raise);
  void Learn(const log::BatchHeader& header);
  std::string Name() const;

  // segment_log_start.cc: the beginning of the log
  absl::Status CheckLogStart(const LogStart& to) const;
  void HandOutLogStart(SegmentOutput* out);
  void ApplyLogStart();
  void LearnFromLogStart();

  // segment_reads.cc: queries
  absl::Status CheckReadEpoch(VolumeEpoch epoch) const;
  absl::StatusOr<Lsn> LastRecordToRead(const protocol::ReadPagesRequest& request) const;

  // segment_damage.cc
  void MissPositions(LogPosition first, LogPosition last);
  bool MayLackWhatItHeld() const;
  bool IsHealingUnwritten() const;
  void ForgetHealed();
  void LearnFromAnnulled(const log::RecordHeader& header);
  void LearnFromCut(const volume::Truncation& truncation);
  void LearnLastKept(const volume::Truncation& truncation, Lsn last_kept);
  std::vector<RecordLocation> Locate(const std::vector<Lsn>& lsns) const;

  SegmentState state_;  // durable
  EpochFence fence_;    // promised
  VolumeView view_;     // promised
  SegmentLog log_;
  PageIndex pages_;
  PendingWrites pending_;
  bool is_promise_unwritten_ = false;  // the fence holds what no write handed out carries
  Told told_;
  LogExtent extent_;  // what is stored
  // Asked for, from the request until it is durable or refused.
  std::optional<LogStart> log_start_due_;
  ReplyToken log_start_from_;
  bool is_log_damaged_ = false;  // found while the log is read back
  PositionSet holes_;            // positions that cannot be read and are not made good yet
  Lsn damaged_through_;          // of what they held nothing lies above it
  // Of truncations: the group's last LSN at or below their VDL, where a record above it proved it.
  std::vector<std::pair<volume::Truncation, Lsn>> last_kept_;
  Lsn highest_stored_;  // of all LSNs ever handed out to be stored

  absl::btree_set<ReplyToken> acks_due_;  // answered OK with the SCL at the next TakeOutput
  // Answered while there was a gap, and answered again when SCL rises: a sender whose records wait
  // ahead would not hear of it otherwise when another one, a peer, closes the gap.
  absl::btree_set<ReplyToken> acked_at_gap_;
  std::vector<SegmentOutput::Ack> refusals_;
  std::vector<SegmentOutput::EpochReply> epoch_replies_;
  std::vector<SegmentOutput::LogStartReply> log_start_replies_;
  LogPosition last_restored_;
};

}  // namespace sextant::storage
