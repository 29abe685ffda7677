// See segment.h. Where the log begins: what lies at or below is in page versions only.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"
#include "storage-node/segment/segment.h"

namespace sextant::storage {

Lsn Segment::read_floor() const {
  return std::max({told_.pgmrpl, log_.start(), state_.read_floor});
}

std::optional<CollectPlan> Segment::PlanCollect(const CollectOptions& options) const {
  const Lsn limit = std::min({told_.pgmrpl, told_.held_by_all, told_.pg_lsn_at_vdl});
  const Lsn through = log_.LastAtOrBelow(limit, options.max_records);
  if (through == log_.start() || log_start_due_.has_value() || MayLackWhatItHeld() ||
      !extent_.HoldsBelow(through, options.min_bytes)) {
    return std::nullopt;
  }
  return CollectPlan{.through = through, .pages = pages_.PagesThrough(through)};
}

absl::Status Segment::CheckLogStart(const LogStart& to) const {
  if (to.lsn < log_.start()) {
    return absl::OutOfRangeError(Text(Name(), ": the log starts at ", log_.start(),
                                      " already and cannot be let begin at ", to.lsn));
  }
  if (to.lsn <= log_.end() && !log_.IsOfChain(to.lsn)) {
    return absl::AbortedError(Text(Name(), ": lsn ", to.lsn, " is not of the chain (any more)"));
  }
  return absl::OkStatus();
}

void Segment::MoveLogStart(const LogStart& to, ReplyToken from) {
  absl::Status status = CheckLogStart(to);
  if (log_start_due_.has_value()) {
    status = absl::AbortedError(Text(Name(), ": its log start is moved to ", log_start_due_->lsn,
                                     " at this moment: try again after that"));
  }
  const bool is_there = to.lsn == state_.log_start && to.read_floor <= state_.read_floor;
  if (!status.ok() || is_there) {
    log_start_replies_.push_back({from, std::move(status)});
    return;
  }
  log_start_due_ = to;
  log_start_from_ = from;
}

// In a write of its own, after everything that was handed out and before anything that will be: it
// makes room, so it must go through where a write that appends does not (segment_store.h).
void Segment::HandOutLogStart(SegmentOutput* out) {
  // Asked again: a truncation may have taken it out of the chain since.
  if (absl::Status status = CheckLogStart(*log_start_due_); !status.ok()) {
    log_start_replies_.push_back({log_start_from_, std::move(status)});
    log_start_due_.reset();
    return;
  }
  PendingWrite& write =
      pending_.HandOut(PendingWrite{.state = state_, .log_start_from = log_start_from_});
  write.state->log_start = log_start_due_->lsn;
  write.state->read_floor = std::max(state_.read_floor, log_start_due_->read_floor);
  // Until what was lost has come again the positions themselves are the proof that it is missing.
  const bool is_healed = !MayLackWhatItHeld() || log_start_due_->lsn >= highest_stored_;
  if (is_healed) write.state->first_position = extent_.FirstNeeded(log_start_due_->lsn);
  write.state->healed.DropBefore(write.state->first_position);
  out->ticket = write.ticket;
  out->persist.states.push_back(*write.state);
  if (write.state->first_position > state_.first_position) {
    out->persist.log_drops.push_back({state_.segment, write.state->first_position});
  }
}

void Segment::ApplyLogStart() {
  log_.MoveStart(state_.log_start);
  pages_.DropThrough(state_.log_start);
  extent_.DropBefore(state_.first_position);
  LearnFromLogStart();
  log_start_replies_.push_back({log_start_from_, absl::OkStatus()});
  log_start_due_.reset();
}

// Only what is durable for the volume is made into pages for good.
void Segment::LearnFromLogStart() {
  if (told_.vdl < state_.log_start) {
    told_.vdl = state_.log_start;
    told_.pg_lsn_at_vdl = state_.log_start;
  }
}

}  // namespace sextant::storage
