// See membership_changer.h.
#include "compute-node/volume/membership_changer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::compute {
namespace {

using quorum::Slot;
using quorum::SlotSet;
using volume::MemberChange;
using volume::Membership;

const MemberChange* ChangeOf(const Membership& membership, Slot from) {
  const auto it = std::ranges::find(membership.changes, from, &MemberChange::from);
  return it == membership.changes.end() ? nullptr : &*it;
}

// Where `node` counts apart from changes: what can be replaced, and is named by it afterwards.
std::optional<Slot> BaseSlotOf(const Membership& membership, const std::string& node) {
  for (Slot slot : membership.ActiveSlots()) {
    if (membership.base.Contains(slot) && membership.members[slot].node == node) return slot;
  }
  return std::nullopt;
}

}  // namespace

MembershipChanger::MembershipChanger(Membership in_effect, Lsn durable)
    : in_effect_(std::move(in_effect)), newest_(in_effect_), durable_at_opening_(durable) {}

absl::Status MembershipChanger::Replace(const std::string& from, volume::Member to, bool hold,
                                        Lsn pgcl) {
  const std::optional<Slot> slot = BaseSlotOf(newest_, from);
  if (!slot.has_value()) {
    return absl::NotFoundError(Text("node ", from, " holds no member of this protection group"));
  }
  const MemberChange* known = ChangeOf(newest_, *slot);
  if (known != nullptr && newest_.members[known->to] == to && !to_undo_.contains(*slot)) {
    if (hold) {
      held_.insert(*slot);
    } else {
      held_.erase(*slot);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<Membership> next = volume::BeginChange(newest_, *slot, std::move(to));
  RETURN_IF_ERROR(next.status());
  if (!IsInEffect()) {
    return absl::UnavailableError(
        Text("membership ", volume::FormatMembershipEpoch(newest_.epoch),
             " is not in effect yet: too few members have answered; ask again"));
  }
  targets_[*slot] = pgcl;
  if (hold) held_.insert(*slot);
  Propose(*std::move(next));
  return absl::OkStatus();
}

absl::Status MembershipChanger::Undo(const std::string& from) {
  const std::optional<Slot> slot = BaseSlotOf(newest_, from);
  if (!slot.has_value() || ChangeOf(newest_, *slot) == nullptr) {
    return absl::NotFoundError(
        Text("node ", from, " is not being replaced, or the change is finished already"));
  }
  to_undo_.insert(*slot);
  return absl::OkStatus();
}

void MembershipChanger::Told(Slot slot, MembershipEpoch epoch) {
  if (epoch >= newest_.epoch && newest_.IsActive(slot)) told_.Insert(slot);
}

void MembershipChanger::Propose(Membership next) {
  SEXTANT_CHECK(IsInEffect());
  newest_ = std::move(next);
  told_ = SlotSet();
}

bool MembershipChanger::IsReady(const MemberChange& change, std::span<const Lsn> scls) const {
  // Where nothing was durable yet every SCL will do, also that of a segment that was never made.
  if (!told_.Contains(change.to)) return false;
  const Lsn target = TargetOf(change.from);
  SlotSet base = newest_.base;
  base.Erase(change.from);
  base.Insert(change.to);
  const quorum::QuorumSets left(std::vector<SlotSet>{base});
  return scls[change.to] >= target && left.DurableLsn(scls) >= target;
}

bool MembershipChanger::Advance(std::span<const Lsn> scls) {
  bool is_changed = false;
  if (!IsInEffect() && newest_.Sets().IsWriteQuorum(told_)) {
    in_effect_ = newest_;
    is_changed = true;
  }
  if (!IsInEffect()) return is_changed;
  for (const MemberChange& change : newest_.changes) {
    const Slot from = change.from;
    const bool is_undone = to_undo_.contains(from);
    if (!is_undone && (held_.contains(from) || !IsReady(change, scls))) continue;
    absl::StatusOr<Membership> next =
        is_undone ? volume::UndoChange(newest_, from) : volume::FinishChange(newest_, from);
    SEXTANT_CHECK(next.ok()) << next.status();
    to_undo_.erase(from);
    held_.erase(from);
    targets_.erase(from);
    Propose(*std::move(next));
    return true;
  }
  return is_changed;
}

quorum::QuorumSets MembershipChanger::CountingSets() const {
  std::vector<SlotSet> sets = in_effect_.Sets().sets();
  const quorum::QuorumSets newest = newest_.Sets();
  for (const SlotSet set : newest.sets()) {
    if (std::ranges::find(sets, set) == sets.end()) sets.push_back(set);
  }
  return quorum::QuorumSets(std::move(sets));
}

const Membership& MembershipChanger::ToTell(Slot slot) const {
  return newest_.IsActive(slot) ? newest_ : in_effect_;
}

bool MembershipChanger::IsMember(const std::string& node, Slot slot) const {
  const Membership& membership = ToTell(slot);
  return membership.IsActive(slot) && membership.members[slot].node == node;
}

std::vector<Slot> MembershipChanger::Candidates() const {
  std::vector<Slot> slots;
  for (const MemberChange& change : newest_.changes) slots.push_back(change.to);
  return slots;
}

Lsn MembershipChanger::TargetOf(Slot from) const {
  const auto it = targets_.find(from);
  return it == targets_.end() ? durable_at_opening_ : it->second;
}

}  // namespace sextant::compute
