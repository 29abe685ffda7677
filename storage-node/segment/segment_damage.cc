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
    if (highest > truncation.vdl && highest <= truncation.upper) highest = truncation.vdl;
  }
  const bool is_complete_through_vdl = log_.scl() >= told_.pg_lsn_at_vdl && told_.vdl >= highest;
  return log_.scl() < highest && !is_complete_through_vdl;
}

LogReadPlan Segment::PlanScrub(Lsn after, uint64_t max_bytes) const {
  LogReadPlan plan;
  plan.records = log_.Held(after, max_bytes, &plan.is_last);
  return plan;
}

}  // namespace sextant::storage
