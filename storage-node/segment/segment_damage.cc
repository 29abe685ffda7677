// See segment.h. Bytes at rest that turned out damaged: what was here is not what never was.
#include <algorithm>

#include "storage-node/segment/segment.h"

namespace sextant::storage {
namespace {

// A state is small and rewritten whole. Damage beyond so many ranges of positions shows again
// whenever the log is read back with a gap in it, until the log start has passed it.
constexpr size_t kMaxHealedRanges = 256;

}  // namespace

void Segment::MissPositions(LogPosition first, LogPosition last) {
  const PositionSet missing = state_.healed.Missing(first, last);
  if (!missing.empty()) is_log_damaged_ = true;
  holes_.Add(missing);
}

size_t Segment::MarkDamaged(LogPosition position) {
  if (position >= state_.first_position) holes_.Add(state_.healed.Missing(position, position));
  const std::vector<Lsn> lsns = log_.MarkDamaged(position);
  if (!lsns.empty()) damaged_through_ = std::max(damaged_through_, lsns.back());
  return lsns.size();
}

// A damaged log has healed once the segment is complete again through everything it held when the
// damage was found and that still stands: what was damaged has then come again, or was annulled.
bool Segment::MayLackWhatItHeld() const {
  Lsn highest = damaged_through_;
  for (const volume::Truncation& truncation : state_.truncations) {
    if (highest <= truncation.vdl || highest > truncation.upper) continue;
    highest = truncation.vdl;
    for (const auto& [known, last_kept] : last_kept_) {
      if (known == truncation) highest = last_kept;
    }
  }
  const bool is_complete_through_vdl = log_.scl() >= told_.pg_lsn_at_vdl && told_.vdl >= highest;
  return log_.scl() < highest && !is_complete_through_vdl;
}

// Every damaged position has been made good, and the disk does not know. The next write tells it:
// else a position that was made good long ago would count as damage at a start that finds an
// ordinary gap, with no more to say what it held than the highest LSN ever stored (simulator, seed
// 22250 of 7c06f1f).
bool Segment::IsHealingUnwritten() const {
  return !holes_.empty() && !MayLackWhatItHeld() &&
         holes_.ranges().size() + state_.healed.ranges().size() <= kMaxHealedRanges;
}

// What the disk knows to be made good, or does not keep any more.
void Segment::ForgetHealed() {
  holes_ = holes_.Without(state_.healed);
  holes_.DropBefore(state_.first_position);
  if (holes_.empty() && damaged_through_ < PageIndex::kMaxLsn) damaged_through_ = Lsn();
}

// A truncation's VDL is seldom an LSN of this group. Which one is the group's last there, a record
// above it tells by its link: whoever knows that and is complete through it lacks nothing, before
// the new writer has announced anything (simulator, seed 11166 of 04c8876).
void Segment::LearnFromAnnulled(const log::RecordHeader& header) {
  for (const volume::Truncation& truncation : state_.truncations) {
    if (truncation.Annuls(header.lsn, header.epoch) && header.prev_pg_lsn <= truncation.vdl) {
      LearnLastKept(truncation, header.prev_pg_lsn);
    }
  }
}

void Segment::LearnFromCut(const volume::Truncation& truncation) {
  if (log_.end() > truncation.vdl && log_.start() <= truncation.vdl) {
    LearnLastKept(truncation, log_.LastAtOrBelow(truncation.vdl));
  }
}

void Segment::LearnLastKept(const volume::Truncation& truncation, Lsn last_kept) {
  const auto is_of = [&](const auto& known) { return known.first == truncation; };
  if (std::ranges::any_of(last_kept_, is_of)) return;
  last_kept_.emplace_back(truncation, last_kept);
}

LogReadPlan Segment::PlanScrub(Lsn after, uint64_t max_bytes) const {
  LogReadPlan plan;
  plan.records = log_.Held(after, max_bytes, &plan.is_last);
  return plan;
}

}  // namespace sextant::storage
