// See membership.h.
#include "common/volume/membership.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::volume {
namespace {

using quorum::Slot;
using quorum::SlotSet;

constexpr size_t kMaxChanges = quorum::kMaxSlots - quorum::kMembers;
constexpr int kTurnBits = 32;  // of a membership epoch; above them the volume epoch

// `set` with each change's candidate in the place of the one it replaces.
SlotSet Replaced(SlotSet set, const MemberChange& change) {
  set.Erase(change.from);
  set.Insert(change.to);
  return set;
}

const MemberChange* FindChange(const Membership& membership, Slot from) {
  const auto it = std::ranges::find(membership.changes, from, &MemberChange::from);
  return it == membership.changes.end() ? nullptr : &*it;
}

bool HasName(const Membership& membership, Slot slot) {
  return slot < membership.members.size() && !membership.members[slot].node.empty();
}

absl::Status CheckChange(const Membership& membership, const MemberChange& change) {
  if (change.from >= quorum::kMaxSlots || change.to >= quorum::kMaxSlots ||
      !membership.base.Contains(change.from) || membership.base.Contains(change.to) ||
      !HasName(membership, change.to)) {
    return absl::InvalidArgumentError(
        Text("slot ", int{change.to}, " cannot replace slot ", int{change.from}));
  }
  const Member& from = membership.members[change.from];
  const Member& to = membership.members[change.to];
  if (from.zone == to.zone) return absl::OkStatus();
  return absl::InvalidArgumentError(Text("node ", to.node, " is in zone \"", to.zone,
                                         "\" and cannot replace ", from.node, " in zone \"",
                                         from.zone, "\": two members must lie in each zone"));
}

absl::Status CheckChanges(const Membership& membership) {
  if (membership.changes.size() > kMaxChanges) {
    return absl::InvalidArgumentError(Text(membership.changes.size(), " changes at once"));
  }
  SlotSet touched;
  for (const MemberChange& change : membership.changes) {
    RETURN_IF_ERROR(CheckChange(membership, change));
    if (touched.Contains(change.from) || touched.Contains(change.to)) {
      return absl::InvalidArgumentError("two changes of one slot");
    }
    touched.Insert(change.from);
    touched.Insert(change.to);
  }
  return absl::OkStatus();
}

// Every name once, but for a node that replaces itself; and free slots only where nobody counts.
absl::Status CheckNames(const Membership& membership) {
  std::map<std::string, Slot> nodes;
  for (size_t i = 0; i < membership.members.size(); ++i) {
    const auto slot = static_cast<Slot>(i);
    if (!HasName(membership, slot)) {
      if (!membership.IsActive(slot)) continue;
      return absl::InvalidArgumentError("a member without a node name");
    }
    const std::string& node = membership.members[slot].node;
    if (!membership.IsActive(slot)) {
      return absl::InvalidArgumentError(Text("node ", node, " has a slot and is no member"));
    }
    const auto [known, is_new] = nodes.emplace(node, slot);
    if (is_new) continue;
    const bool replaces_itself =
        std::ranges::find(membership.changes, MemberChange{known->second, slot}) !=
            membership.changes.end() ||
        std::ranges::find(membership.changes, MemberChange{slot, known->second}) !=
            membership.changes.end();
    if (!replaces_itself)
      return absl::InvalidArgumentError(Text("node ", node, " is a member twice"));
  }
  return absl::OkStatus();
}

absl::Status CheckZones(const Membership& membership) {
  std::map<std::string, int> members_by_zone;
  for (size_t slot = 0; slot < membership.members.size(); ++slot) {
    if (!membership.base.Contains(static_cast<Slot>(slot))) continue;
    ++members_by_zone[membership.members[slot].zone];
  }
  for (const auto& [zone, count] : members_by_zone) {
    if (count == quorum::kMembers / quorum::kZones) continue;
    return absl::InvalidArgumentError(Text("zone \"", zone, "\" holds ", count,
                                           " members; the six must lie two in each of ",
                                           quorum::kZones, " zones"));
  }
  return absl::OkStatus();
}

// The same with the slots that nobody has taken out, and the next epoch.
Membership Next(Membership membership) {
  for (size_t slot = 0; slot < membership.members.size(); ++slot) {
    if (!membership.IsActive(static_cast<Slot>(slot))) membership.members[slot] = {};
  }
  while (!membership.members.empty() && membership.members.back().node.empty()) {
    membership.members.pop_back();
  }
  membership.epoch = membership.epoch.Next();
  return membership;
}

}  // namespace

quorum::QuorumSets Membership::Sets() const {
  std::vector<SlotSet> sets = {base};
  for (const MemberChange& change : changes) {
    const size_t count = sets.size();
    for (size_t i = 0; i < count; ++i) sets.push_back(Replaced(sets[i], change));
  }
  return quorum::QuorumSets(std::move(sets));
}

bool Membership::IsActive(Slot slot) const {
  return slot < quorum::kMaxSlots &&
         (base.Contains(slot) ||
          std::ranges::find(changes, slot, &MemberChange::to) != changes.end());
}

std::vector<Slot> Membership::ActiveSlots() const {
  std::vector<Slot> slots;
  slots.reserve(quorum::kMaxSlots);
  for (Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
    if (IsActive(slot)) slots.push_back(slot);
  }
  return slots;
}

std::optional<Slot> Membership::SlotOf(const std::string& node) const {
  std::optional<Slot> found;
  for (Slot slot : ActiveSlots()) {
    if (slot >= members.size() || members[slot].node != node) continue;
    if (!found.has_value() || base.Contains(*found)) found = slot;
  }
  return found;
}

Membership TakenOver(Membership membership, VolumeEpoch epoch) {
  // Above whatever was heard, also if somebody made that up.
  membership.epoch =
      std::max(membership.epoch.Next(), MembershipEpoch((epoch.value() << kTurnBits) + 1));
  return membership;
}

std::string FormatMembershipEpoch(MembershipEpoch epoch) {
  constexpr uint64_t kTurnMask = (uint64_t{1} << kTurnBits) - 1;
  return Text(epoch.value() >> kTurnBits, ".", epoch.value() & kTurnMask);
}

absl::Status ValidateMembership(const Membership& membership) {
  if (membership.members.size() > quorum::kMaxSlots || membership.base.size() != quorum::kMembers ||
      membership.members.size() < quorum::kMembers) {
    return absl::InvalidArgumentError(Text("a protection group has ", quorum::kMembers,
                                           " members, not ", membership.members.size()));
  }
  for (Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
    if (membership.base.Contains(slot) && !HasName(membership, slot)) {
      return absl::InvalidArgumentError("a member without a node name");
    }
  }
  RETURN_IF_ERROR(CheckChanges(membership));
  RETURN_IF_ERROR(CheckNames(membership));
  return CheckZones(membership);
}

absl::StatusOr<Membership> BeginChange(const Membership& membership, Slot from, Member to) {
  if (from >= quorum::kMaxSlots || !membership.base.Contains(from)) {
    return absl::InvalidArgumentError(Text("slot ", int{from}, " is no member"));
  }
  const std::string& old_node = membership.members[from].node;
  if (FindChange(membership, from) != nullptr) {
    return absl::FailedPreconditionError(
        Text(old_node, " is being replaced already: finish or undo that change first"));
  }
  if (membership.changes.size() == kMaxChanges) {
    return absl::FailedPreconditionError(
        Text(kMaxChanges, " changes are under way: finish or undo one of them first"));
  }
  Membership next = membership;
  Slot free = 0;
  while (membership.IsActive(free)) ++free;
  if (next.members.size() <= free) next.members.resize(free + size_t{1});
  next.members[free] = std::move(to);
  next.changes.push_back({from, free});
  next.epoch = next.epoch.Next();
  RETURN_IF_ERROR(ValidateMembership(next));
  return next;
}

absl::StatusOr<Membership> FinishChange(const Membership& membership, Slot from) {
  const MemberChange* change = FindChange(membership, from);
  if (change == nullptr) return absl::NotFoundError(Text("slot ", int{from}, " is not replaced"));
  Membership next = membership;
  next.base = Replaced(next.base, *change);
  std::erase(next.changes, *change);
  return Next(std::move(next));
}

absl::StatusOr<Membership> UndoChange(const Membership& membership, Slot from) {
  const MemberChange* change = FindChange(membership, from);
  if (change == nullptr) return absl::NotFoundError(Text("slot ", int{from}, " is not replaced"));
  Membership next = membership;
  std::erase(next.changes, *change);
  return Next(std::move(next));
}

}  // namespace sextant::volume
