// Counting over sets of six; PGCL is the fourth highest SCL of each set. See quorum.h.
#include "common/quorum/quorum.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::quorum {

QuorumSets::QuorumSets() : QuorumSets({SlotSet{0, 1, 2, 3, 4, 5}}) {}

QuorumSets::QuorumSets(std::vector<SlotSet> sets) : sets_(std::move(sets)) {
  SEXTANT_CHECK(!sets_.empty());
  for (SlotSet set : sets_) SEXTANT_CHECK(set.size() == kMembers) << set.size();
}

bool QuorumSets::IsWriteQuorum(SlotSet answered) const {
  return std::ranges::all_of(
      sets_, [&](SlotSet set) { return set.Intersect(answered).size() >= kWriteQuorum; });
}

bool QuorumSets::IsReadQuorum(SlotSet answered) const {
  return std::ranges::all_of(
      sets_, [&](SlotSet set) { return set.Intersect(answered).size() >= kReadQuorum; });
}

Lsn QuorumSets::DurableLsn(std::span<const Lsn> scl_by_slot) const {
  Lsn durable(UINT64_MAX);
  for (SlotSet set : sets_) {
    std::array<Lsn, kMembers> scls;
    size_t n = 0;
    for (Slot slot = 0; slot < kMaxSlots; ++slot) {
      if (!set.Contains(slot)) continue;
      scls[n++] = slot < scl_by_slot.size() ? scl_by_slot[slot] : Lsn();
    }
    std::ranges::sort(scls, std::greater<>());
    durable = std::min(durable, scls[kWriteQuorum - 1]);
  }
  return durable;
}

SlotSet QuorumSets::AllSlots() const {
  SlotSet all;
  for (SlotSet set : sets_) {
    for (Slot slot = 0; slot < kMaxSlots; ++slot) {
      if (set.Contains(slot)) all.Insert(slot);
    }
  }
  return all;
}

}  // namespace sextant::quorum
