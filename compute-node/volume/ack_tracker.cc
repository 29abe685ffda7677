// See ack_tracker.h.
#include "compute-node/volume/ack_tracker.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::compute {

AckTracker::AckTracker(quorum::QuorumSets sets, Lsn durable)
    : sets_(std::move(sets)),
      members_(quorum::kMaxSlots),
      counted_(quorum::kMaxSlots),
      pgcl_(durable) {}

bool AckTracker::SetSets(quorum::QuorumSets sets) {
  sets_ = std::move(sets);
  return Recompute();
}

void AckTracker::Join(quorum::Slot slot) {
  members_[slot] = {};
  counted_[slot] = Lsn();
}

bool AckTracker::Connected(quorum::Slot slot, Lsn scl) {
  SEXTANT_CHECK(slot < members_.size()) << int{slot};
  Member& member = members_[slot];
  member.is_counted = scl >= member.promised;
  if (!member.is_counted) {
    counted_[slot] = Lsn();
    return false;
  }
  counted_[slot] = member.promised = scl;
  return true;
}

bool AckTracker::Acked(quorum::Slot slot, Lsn scl) {
  SEXTANT_CHECK(slot < members_.size()) << int{slot};
  Member& member = members_[slot];
  if (scl < member.promised) return false;
  if (scl == counted_[slot]) return Recompute();
  member.is_counted = true;
  counted_[slot] = member.promised = scl;
  return Recompute();
}

void AckTracker::Discount(quorum::Slot slot) {
  SEXTANT_CHECK(slot < members_.size()) << int{slot};
  members_[slot].is_counted = false;
  counted_[slot] = Lsn();
}

bool AckTracker::Recompute() {
  // A discounted member can pull the quorum's LSN below what was durable once: PGCL stays.
  const Lsn durable = sets_.DurableLsn(counted_);
  if (durable <= pgcl_.Get()) return false;
  pgcl_.AdvanceTo(durable);
  return true;
}

}  // namespace sextant::compute
