// MembershipChanger is a state machine: one protection group's members, while they change. Core.
//
// Each step (a change begins, is finished, is undone) proposes the next membership. From then on
// what is durable is counted by the old sets AND the new, so nothing blocks and nothing is lost
// whichever of the two survives a crash. The members of the new one are told; once a write quorum
// of each of its sets has durably answered, it is in effect, and only then may the next be
// proposed: consecutive memberships share a set, so whoever recovers finds the newest one in
// effect. Once a membership that ends a change is in effect, the old member or the candidate that
// it left out counts no more, and may be dropped. docs/PROTOCOL.md, "Membership".
//
// A change is finished by itself once the candidate has answered with the newest membership and
// holds everything that was durable when the change began (all later records are counted with it),
// and the six that then remain hold that on a write quorum. A caller may ask to hold it: then it
// stays as it is until it is undone or asked for again. A writer that takes over goes on from the
// membership that recovery found, holding nothing.
//
// It says who counts and who is to be told what; telling is Writer's (writer_membership.cc).
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/log/lsn.h"
#include "common/quorum/quorum.h"
#include "common/volume/membership.h"

namespace sextant::compute {

class MembershipChanger {
 public:
  // `in_effect`: what recovery opened with. `durable`: the group's PGCL then.
  MembershipChanger(volume::Membership in_effect, Lsn durable);

  // --- wishes of people. OK: proposed, or to be proposed once the last step is in effect; asking
  // for a change that is under way repeats nothing and sets only whether it is held.
  // NOT_FOUND: `from` is no member. INVALID_ARGUMENT, FAILED_PRECONDITION: as BeginChange says;
  // UNAVAILABLE: the last step is not in effect yet, ask again.
  absl::Status Replace(const std::string& from, volume::Member to, bool hold, Lsn pgcl);
  // NOT_FOUND: `from` is not being replaced, or not any more.
  absl::Status Undo(const std::string& from);

  // --- what happens
  // The member at `slot` has durably answered with the membership of this epoch.
  void Told(quorum::Slot slot, MembershipEpoch epoch);
  // `scls` by slot, of members that are counted. Proposes what is due; true if anything changed.
  bool Advance(std::span<const Lsn> scls);

  // --- queries
  const volume::Membership& newest() const { return newest_; }
  const volume::Membership& in_effect() const { return in_effect_; }
  bool IsInEffect() const { return newest_.epoch == in_effect_.epoch; }
  // Nothing can be due before the next Told, Replace or Undo.
  bool IsAtRest() const { return IsInEffect() && newest_.changes.empty(); }
  // What durability is counted by: the sets of the membership in effect and of the newest.
  quorum::QuorumSets CountingSets() const;
  // The newest membership that counts the slot; the one in effect where the newest does not.
  const volume::Membership& ToTell(quorum::Slot slot) const;
  bool IsTold(quorum::Slot slot) const { return told_.Contains(slot); }
  // The segment that `node` says is at `slot` counts.
  bool IsMember(const std::string& node, quorum::Slot slot) const;
  // Slots of changes' candidates, in effect or not, that may need a segment made for them.
  std::vector<quorum::Slot> Candidates() const;
  // The candidate of the change must hold the group through here before the change is finished.
  Lsn TargetOf(quorum::Slot from) const;
  bool IsHeld(quorum::Slot from) const { return held_.contains(from); }

 private:
  void Propose(volume::Membership next);
  bool IsReady(const volume::MemberChange& change, std::span<const Lsn> scls) const;

  volume::Membership in_effect_;
  volume::Membership newest_;
  quorum::SlotSet told_;  // members that have answered with `newest_`
  Lsn durable_at_opening_;
  std::map<quorum::Slot, Lsn> targets_;  // by `from`: PGCL when the change began
  std::set<quorum::Slot> held_;          // by `from`
  std::set<quorum::Slot> to_undo_;       // by `from`: undone as soon as the last step is in effect
};

}  // namespace sextant::compute
