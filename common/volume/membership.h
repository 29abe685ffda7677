// Membership: who the members of one protection group are, also while one is being replaced. Core.
//
// At rest six members count. When one is suspected, a candidate joins beside it and both count: a
// write needs its quorum with the one and with the other, so the change blocks nobody and can be
// undone or finished at any time (SIGMOD'18, section 4.1). A second failure during a change nests
// the same way. Each step makes a new membership of the next epoch; consecutive memberships always
// have a set of six in common, and a read needs its quorum in every set (quorum.h), so whoever
// still believes in the older membership meets somebody who knows the newer.
// docs/PROTOCOL.md, "Membership".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/quorum/quorum.h"

namespace sextant::volume {

// A storage node as members know it: its stable name and zone. Addresses are the shell's business.
struct Member {
  std::string node;  // "az1-a"
  std::string zone;  // "az1"
  bool operator==(const Member&) const = default;
};

// The member at slot `from` is being replaced by the one at slot `to`.
struct MemberChange {
  quorum::Slot from = 0;
  quorum::Slot to = 0;
  bool operator==(const MemberChange&) const = default;
};

struct Membership {
  MembershipEpoch epoch{1};
  // By slot, at most quorum::kMaxSlots. A member keeps its slot for life; a slot that nobody has is
  // a Member without a name.
  std::vector<Member> members;
  // The six that count apart from changes under way; the `from` of each change is among them.
  quorum::SlotSet base{0, 1, 2, 3, 4, 5};
  std::vector<MemberChange> changes;  // at most two

  bool operator==(const Membership&) const = default;

  // One set at rest, two during a change, four during two.
  quorum::QuorumSets Sets() const;
  // The slot counts in some set.
  bool IsActive(quorum::Slot slot) const;
  // Active slots, ascending.
  std::vector<quorum::Slot> ActiveSlots() const;
  // Where `node` is an active member; of two slots (it replaces itself) the newer one.
  std::optional<quorum::Slot> SlotOf(const std::string& node) const;
};

// `membership` as the writer of `epoch` takes it over: the same members, the first of its turns.
Membership TakenOver(Membership membership, VolumeEpoch epoch);

// "6.2": second membership that the writer of volume epoch 6 made of the group.
std::string FormatMembershipEpoch(MembershipEpoch epoch);

// INVALID_ARGUMENT, saying what is wrong: not six members in the base, a node twice (other than as
// its own successor) or without a name, not two in each of three zones, a malformed change.
absl::Status ValidateMembership(const Membership& membership);

// The membership in which `to` stands beside the member `from`. INVALID_ARGUMENT: `from` is no
// member, `to` is one elsewhere or lies in another zone. FAILED_PRECONDITION: `from` is being
// replaced already, or two changes are under way.
absl::StatusOr<Membership> BeginChange(const Membership& membership, quorum::Slot from, Member to);
// The membership in which the change of `from` is over: with the new member alone, or with the old.
// NOT_FOUND: `from` is not being replaced.
absl::StatusOr<Membership> FinishChange(const Membership& membership, quorum::Slot from);
absl::StatusOr<Membership> UndoChange(const Membership& membership, quorum::Slot from);

}  // namespace sextant::volume
