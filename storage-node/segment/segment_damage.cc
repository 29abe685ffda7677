// See segment.h. Bytes at rest that turned out damaged: what was here is not what never was.
#include <algorithm>

#include "storage-node/segment/segment.h"

namespace sextant::storage {

size_t Segment::MarkDamaged(LogPosition position) {
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
