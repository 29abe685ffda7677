// See segment.h. Inputs and start-up; the queries are in segment_reads.cc.
#include "storage-node/segment/segment.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {
namespace {

// Bytes of a batch as it was stored, from its decoded form.
uint64_t StoredBytes(const log::BatchView& view) {
  return view.entries.empty() ? 0 : view.entries.front().offset + view.header.body_bytes;
}

}  // namespace

Segment::Segment(SegmentState state)
    : state_(std::move(state)),
      fence_(state_.epoch, state_.writer, state_.truncations),
      view_(state_.descriptor, state_.membership),
      log_(state_.log_start),
      extent_(state_.first_position),
      last_restored_(state_.first_position - LogPosition(1)) {
  LearnFromLogStart();
}

std::string Segment::Name() const {
  return Text("segment ", FormatVolumeId(state_.segment.volume), "/", state_.segment.pg);
}

// --- start-up

void Segment::Restore(LogPosition position, const absl::StatusOr<log::BatchView>& batch) {
  SEXTANT_CHECK(position > last_restored_) << position << " after " << last_restored_;
  MissPositions(last_restored_.Next(), LogPosition(position.value() - 1));
  last_restored_ = position;
  if (!batch.ok() || batch->header.volume != state_.segment.volume ||
      batch->header.pg != state_.segment.pg) {
    return MissPositions(position, position);
  }
  PendingBatch stored{.position = position, .header = batch->header};
  for (const log::BatchView::Entry& entry : batch->entries) {
    stored.records.push_back({entry.record.header, entry.offset, entry.size});
  }
  stored.stored_bytes = StoredBytes(*batch);
  ApplyBatch(stored);
}

void Segment::FinishRestore(const std::optional<LogHighWater>& high_water) {
  const LogHighWater mark = high_water.value_or(LogHighWater{.segment = state_.segment});
  // The mark and the log are written together: any difference is damage.
  MissPositions(last_restored_.Next(), mark.last_position);
  const LogPosition last = std::max(last_restored_, state_.healed.last());
  // Without it nothing says how much there was: such a log is damaged for good.
  const bool is_mark_lost = mark.last_position < last;
  highest_stored_ = is_mark_lost ? PageIndex::kMaxLsn : mark.scl;
  if (highest_stored_ == PageIndex::kMaxLsn) is_log_damaged_ = true;
  if (is_log_damaged_) damaged_through_ = highest_stored_;
  pending_ = PendingWrites(std::max(mark.last_position, last));
}

// --- appending

absl::Status Segment::CheckRecord(const log::BatchHeader& batch,
                                  const log::RecordView& record) const {
  const log::RecordHeader& header = record.header;
  const volume::Geometry& geometry = state_.descriptor.geometry;
  if (header.epoch > batch.epoch) {
    return absl::InvalidArgumentError(Text(Name(), ": lsn ", header.lsn, " of epoch ", header.epoch,
                                           " in a batch of epoch ", batch.epoch));
  }
  if (geometry.PgOf(header.page) != state_.segment.pg) {
    return absl::InvalidArgumentError(Text(Name(), ": lsn ", header.lsn, " changes page ",
                                           header.page, " of another protection group"));
  }
  if (header.lsn >= PageIndex::kMaxLsn) {  // kMaxLsn itself means "unknown" in highest_stored_
    return absl::InvalidArgumentError(Text(Name(), ": lsn ", header.lsn, " is too large"));
  }
  if (header.is_full_image && record.payload.size() != geometry.page_bytes) {
    return absl::InvalidArgumentError(Text(Name(), ": lsn ", header.lsn, " is a page of ",
                                           record.payload.size(), " bytes, the volume's have ",
                                           geometry.page_bytes));
  }
  return absl::OkStatus();
}

absl::Status Segment::CheckBatch(const log::BatchView& view) const {
  const log::BatchHeader& header = view.header;
  if (header.volume != state_.segment.volume || header.pg != state_.segment.pg) {
    return absl::InvalidArgumentError(
        Text(Name(), ": batch is for ", FormatVolumeId(header.volume), "/", header.pg));
  }
  RETURN_IF_ERROR(fence_.Admit(header.epoch));
  // One writer makes every membership, so what it sealed before its last change is as good as what
  // it sealed after. A newer one it must tell before its batches can count under it.
  const volume::Membership& members = view_.membership();
  if (header.membership > members.epoch) {
    return absl::FailedPreconditionError(Text(Name(), ": membership epoch is ", members.epoch,
                                              ", the batch's ", header.membership,
                                              ": tell of the members before sending batches"));
  }
  if (!members.IsActive(state_.slot)) {
    return absl::NotFoundError(Text(Name(), ": was replaced in membership epoch ", members.epoch,
                                    " and takes no part any more"));
  }
  if (header.pg_lsn_at_vdl > header.vdl) {
    return absl::InvalidArgumentError(Text(Name(), ": batch says that lsn ", header.pg_lsn_at_vdl,
                                           " is at or below VDL ", header.vdl));
  }
  for (const log::BatchView::Entry& entry : view.entries) {
    RETURN_IF_ERROR(CheckRecord(header, entry.record));
  }
  return absl::OkStatus();
}

std::vector<BatchRecord> Segment::WantedRecords(const log::BatchView& view) const {
  std::vector<BatchRecord> wanted;
  wanted.reserve(view.entries.size());
  for (const log::BatchView::Entry& entry : view.entries) {
    const log::RecordHeader& header = entry.record.header;
    if (!log_.Wants(header.lsn) || fence_.Annuls(header.lsn, header.epoch)) continue;
    wanted.push_back({header, entry.offset, entry.size});
  }
  return wanted;
}

void Segment::Append(const log::BatchView& view, std::shared_ptr<const std::string> bytes,
                     ReplyToken from) {
  if (absl::Status status = CheckBatch(view); !status.ok()) return Refuse(from, std::move(status));
  std::vector<BatchRecord> wanted = WantedRecords(view);
  const bool is_new = std::any_of(wanted.begin(), wanted.end(), [this](const BatchRecord& record) {
    return !pending_.IsPending(record.header.lsn);
  });
  if (is_new) {
    pending_.round().ack_to.insert(from);
    pending_.Add({.header = view.header,
                  .records = std::move(wanted),
                  .stored_bytes = bytes->size(),
                  .bytes = std::move(bytes)});
    return;
  }
  // A heartbeat, or a batch that is held or on its way to the disk: nothing to store.
  Learn(view.header);
  if (wanted.empty() && IsPromiseDurable()) {
    acks_due_.insert(from);
  } else {
    AfterPending().ack_to.insert(from);
  }
}

void Segment::Refuse(ReplyToken to, absl::Status why) {
  protocol::AppendAck ack{.segment = state_.segment,
                          .incarnation = state_.incarnation,
                          .epoch = fence_.epoch(),
                          .scl = log_.scl(),
                          .status = std::move(why)};
  refusals_.push_back({.to = to, .ack = std::move(ack)});
}

// --- raising the epoch

absl::Status Segment::CheckRaise(const protocol::RaiseEpochRequest& request) const {
  if (request.segment != state_.segment) {
    return absl::InvalidArgumentError(Text(Name(), ": request is for ",
                                           FormatVolumeId(request.segment.volume), "/",
                                           request.segment.pg));
  }
  RETURN_IF_ERROR(view_.Check(request.descriptor, request.membership));
  if (!fence_.IsNewer(request.truncations)) return absl::OkStatus();
  // VDL is never truncated: what a writer once called durable outlives any recovery.
  for (const volume::Truncation& truncation : fence_.Unknown(request.truncations)) {
    for (const Lsn durable : {told_.pg_lsn_at_vdl, log_.start()}) {
      if (durable <= truncation.vdl || durable > truncation.upper) continue;
      return absl::InvalidArgumentError(
          Text(Name(), ": truncation of (", truncation.vdl, ", ", truncation.upper, "] by epoch ",
               truncation.epoch, " would annul lsn ", durable, ", which is durable: VDL ",
               told_.vdl, " was announced"));
    }
  }
  return absl::OkStatus();
}

void Segment::RaiseEpoch(const protocol::RaiseEpochRequest& request, ReplyToken from) {
  if (absl::Status status = CheckRaise(request); !status.ok()) {
    epoch_replies_.push_back({from, std::move(status)});
    return;
  }
  const absl::StatusOr<bool> is_changed =
      fence_.Raise(request.epoch, request.writer, request.truncations);
  if (!is_changed.ok()) {
    epoch_replies_.push_back({from, is_changed.status()});
    return;
  }
  const bool is_view_changed = view_.Take(request.descriptor, request.membership);
  if (*is_changed || is_view_changed) is_promise_unwritten_ = true;
  const PendingRaise raise{from, request.epoch, request.writer};
  if (IsPromiseDurable()) {
    ReplyToRaise(raise);
  } else {
    AfterPending().raises.push_back(raise);
  }
}

absl::Status Segment::CheckDrop(const protocol::DropSegmentRequest& request,
                                std::string_view node) const {
  const bool is_newest = request.epoch > fence_.epoch() ||
                         (request.epoch == fence_.epoch() && request.writer == fence_.writer());
  if (request.segment != state_.segment || !is_newest) {
    return absl::FailedPreconditionError(Text(Name(), ": not dropped, volume epoch ",
                                              fence_.epoch(), " was claimed by another writer"));
  }
  const volume::Membership& known = view_.membership();
  const volume::Membership& told = request.membership;
  // The slot may be another node's by now, and the membership known here may say so, too.
  const bool counts = told.IsActive(state_.slot) && told.members[state_.slot].node == node;
  if (told.epoch >= known.epoch && !counts) return absl::OkStatus();
  return absl::FailedPreconditionError(
      Text(Name(), ": not dropped, it counts in membership ",
           volume::FormatMembershipEpoch(std::max(told.epoch, known.epoch))));
}

SegmentState Segment::Remains(const protocol::DropSegmentRequest& request) const {
  return {.segment = state_.segment,
          .incarnation = state_.incarnation,
          .is_dropped = true,
          .descriptor = state_.descriptor,
          .membership = request.membership,
          .slot = state_.slot,
          .epoch = request.epoch,
          .writer = request.writer};
}

void Segment::ReplyToRaise(const PendingRaise& raise) {
  if (state_.epoch == raise.epoch && state_.writer == raise.writer) {
    epoch_replies_.push_back({raise.from, Status()});
    return;
  }
  epoch_replies_.push_back({raise.from, absl::FailedPreconditionError(Text(
                                            Name(), ": volume epoch ", state_.epoch,
                                            " was claimed before ", raise.epoch, " was durable"))});
}

bool Segment::IsPromiseDurable() const {
  return fence_.epoch() == state_.epoch && fence_.writer() == state_.writer &&
         fence_.truncations() == state_.truncations && view_.descriptor() == state_.descriptor &&
         view_.membership() == state_.membership;
}

// The write whose being durable implies that everything taken in so far is, the promise included.
PendingWrite& Segment::AfterPending() {
  PendingWrite* newest = pending_.newest();
  return is_promise_unwritten_ || newest == nullptr ? pending_.round() : *newest;
}

// --- output and what became of it

SegmentOutput Segment::TakeOutput() {
  SegmentOutput out;
  if (log_start_due_.has_value() && pending_.is_settled()) HandOutLogStart(&out);
  if (out.persist.empty() && !pending_.round().empty()) HandOut(&out);
  for (ReplyToken to : std::exchange(acks_due_, {})) {
    out.acks.push_back({to,
                        {.segment = state_.segment,
                         .incarnation = state_.incarnation,
                         .epoch = state_.epoch,
                         .scl = log_.scl()}});
    if (HasGap()) acked_at_gap_.insert(to);
  }
  for (SegmentOutput::Ack& refusal : refusals_) out.acks.push_back(std::move(refusal));
  refusals_.clear();
  out.epoch_replies = std::exchange(epoch_replies_, {});
  out.log_start_replies = std::exchange(log_start_replies_, {});
  return out;
}

void Segment::HandOut(SegmentOutput* out) {
  PendingWrite& write = pending_.HandOut();
  out->ticket = write.ticket;
  for (PendingBatch& batch : write.batches) {
    out->persist.log.push_back({state_.segment, batch.position, std::move(batch.bytes)});
    highest_stored_ = std::max(highest_stored_, batch.records.back().header.lsn);
  }
  if (!write.batches.empty()) {
    out->persist.high_water.push_back({.segment = state_.segment,
                                       .last_position = pending_.last_position(),
                                       .scl = highest_stored_});
  }
  const bool is_healing = IsHealingUnwritten();
  if (is_promise_unwritten_ || is_healing) {
    // If a write is handed out that moves the log start, it comes first; the refusal of that one
    // refuses this one too.
    write.state = pending_.newest_state().value_or(state_);
    write.state->epoch = fence_.epoch();
    write.state->writer = fence_.writer();
    write.state->truncations = fence_.truncations();
    write.state->descriptor = view_.descriptor();
    write.state->membership = view_.membership();
    if (is_healing) {
      write.state->healed.Add(holes_);
      write.state->healed.DropBefore(write.state->first_position);
    }
    out->persist.states.push_back(*write.state);
    is_promise_unwritten_ = false;
  }
  SEXTANT_CHECK(!out->persist.empty()) << Name() << " has answers that wait for nothing";
}

void Segment::Persisted(PersistTicket ticket) {
  while (std::optional<PendingWrite> write = pending_.TakePersisted(ticket)) {
    Apply(*std::move(write));
  }
}

void Segment::Apply(PendingWrite write) {
  const Lsn scl_before = log_.scl();
  for (const PendingBatch& batch : write.batches) ApplyBatch(batch);
  if (write.state.has_value()) ApplyState(*std::move(write.state));
  if (write.log_start_from.has_value()) ApplyLogStart();
  for (const PendingRaise& raise : write.raises) ReplyToRaise(raise);
  acks_due_.merge(write.ack_to);
  if (log_.scl() > scl_before) acks_due_.merge(std::exchange(acked_at_gap_, {}));
}

void Segment::ApplyBatch(const PendingBatch& batch) {
  extent_.Store(batch.position, batch.records.empty() ? Lsn() : batch.records.back().header.lsn,
                batch.stored_bytes);
  Learn(batch.header);
  for (const BatchRecord& record : batch.records) {
    const log::RecordHeader& header = record.header;
    // Asked again: an earlier write may have brought it, or a truncation annulled it, since.
    if (IsAnnulled(state_.truncations, header.lsn, header.epoch)) {
      LearnFromAnnulled(header);
      continue;
    }
    if (!log_.Wants(header.lsn)) continue;
    const bool is_indexed = log_.IsDamaged(header.lsn);  // here again, sound
    log_.Insert({header.lsn, batch.position, record.offset, record.size}, header.prev_pg_lsn,
                header.epoch);
    if (!is_indexed) pages_.Add(header.page, header.lsn, header.is_full_image);
  }
}

void Segment::ApplyState(SegmentState state) {
  SEXTANT_CHECK(state.epoch >= state_.epoch) << Name() << ": epoch " << state.epoch;
  const EpochFence before(state_.epoch, state_.writer, state_.truncations);
  for (const volume::Truncation& truncation : before.Unknown(state.truncations)) {
    LearnFromCut(truncation);
    pages_.Remove(log_.Truncate(truncation));
  }
  state_ = std::move(state);
  ForgetHealed();
}

void Segment::PersistRefused(PersistTicket ticket, const absl::Status& why) {
  const absl::Status refusal = absl::ResourceExhaustedError(
      Text(Name(), ": not stored, no room on the node's disk: ", View(why.message())));
  for (const PendingWrite& write : pending_.TakeRefused(ticket)) {
    for (ReplyToken to : write.ack_to) Refuse(to, refusal);
    for (const PendingRaise& raise : write.raises) epoch_replies_.push_back({raise.from, refusal});
    // The promise stays; the next write carries it, before anything of the new epoch is
    // acknowledged.
    if (write.log_start_from.has_value()) {
      log_start_due_.reset();
      log_start_replies_.push_back({*write.log_start_from, refusal});
    } else if (write.state.has_value()) {
      is_promise_unwritten_ = !IsPromiseDurable();
    }
  }
}

void Segment::Learn(const log::BatchHeader& header) {
  if (header.vdl > told_.vdl) {
    told_.vdl = header.vdl;
    told_.pg_lsn_at_vdl = std::max(told_.pg_lsn_at_vdl, header.pg_lsn_at_vdl);
  }
  told_.pgmrpl = std::max(told_.pgmrpl, header.pgmrpl);
  told_.held_by_all = std::max(told_.held_by_all, header.held_by_all);
}

}  // namespace sextant::storage
