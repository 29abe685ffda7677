// See membership_checker.h.
#include "tests/simulation/check/membership_checker.h"

#include <algorithm>

namespace sextant::simulation {
namespace {

bool HaveSetInCommon(const volume::Membership& a, const volume::Membership& b) {
  const quorum::QuorumSets sets_of_a = a.Sets(), sets_of_b = b.Sets();
  return std::ranges::any_of(sets_of_a.sets(), [&](quorum::SlotSet set) {
    return std::ranges::find(sets_of_b.sets(), set) != sets_of_b.sets().end();
  });
}

}  // namespace

void MembershipChecker::Durable(NodeNo node, const storage::StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) {
    const bool is_begun_anew = std::ranges::any_of(
        write.states, [&](const storage::SegmentState& state) { return state.segment == segment; });
    if (!is_begun_anew) CheckDrop(node, segment.pg);
  }
  for (const storage::SegmentState& state : write.states) {
    groups_[state.segment.pg].segments[node] = {state.slot, state.membership.epoch};
    const volume::Geometry& geometry = state.descriptor.geometry;
    if (geometries_.emplace(geometry.epoch, geometry).first->second != geometry) {
      sim_.Violate("I10", "two geometries ", geometry.epoch);
    }
    Told(state.segment.pg, state.membership);
  }
}

void MembershipChecker::Told(PgId pg, const volume::Membership& membership) {
  Group& group = groups_[pg];
  const auto [known, is_new] = group.seen.emplace(membership.epoch, membership);
  if (known->second != membership) {
    sim_.Violate("I10", "pg ", pg, " has two memberships ",
                 volume::FormatMembershipEpoch(membership.epoch));
  }
  if (is_new && facts_.index.IsPartOfVolume(pg) && known != group.seen.begin() &&
      membership.base != std::prev(known)->second.base) {
    CheckHeld(pg, membership);
  }
  const volume::Membership& in_effect = facts_.index.InEffect(pg);
  if (in_effect == group.in_effect) return;
  // A group that is only being added may have been begun before, by somebody else.
  const bool is_first = group.in_effect.members.empty() || !facts_.index.IsPartOfVolume(pg);
  if (!is_first && !HaveSetInCommon(in_effect, group.in_effect)) {
    sim_.Violate("I10", "pg ", pg, ": memberships ",
                 volume::FormatMembershipEpoch(group.in_effect.epoch), " and ",
                 volume::FormatMembershipEpoch(in_effect.epoch),
                 " came into effect one after the other and share no set");
  }
  if (in_effect.changes.size() == 2) sim_.Count(Rare::kTwoChangesInEffect);
  if (!is_first && in_effect.base != group.in_effect.base) sim_.Count(Rare::kChangeFinished);
  if (in_effect.changes.size() < group.in_effect.changes.size() &&
      in_effect.base == group.in_effect.base) {
    sim_.Count(Rare::kChangeUndone);
  }
  sim_.Tell("pg ", pg, ": membership ", volume::FormatMembershipEpoch(in_effect.epoch),
            " is in effect, base ", in_effect.base.bits(), ", ", in_effect.changes.size(),
            " changes");
  Join(in_effect, is_first, &group);
  group.in_effect = in_effect;
}

void MembershipChecker::Join(const volume::Membership& in_effect, bool is_first, Group* group) {
  if (is_first) group->joined.clear();
  for (const quorum::Slot slot : in_effect.ActiveSlots()) {
    if (is_first) {
      group->joined[slot] = MembershipEpoch();
    } else if (!group->in_effect.IsActive(slot) ||
               group->in_effect.members[slot].node != in_effect.members[slot].node) {
      group->joined[slot] = in_effect.epoch;
    }
  }
}

// One of the six leaves: those that remain must hold, by themselves, all that was acknowledged.
void MembershipChecker::CheckHeld(PgId pg, const volume::Membership& membership) {
  for (const auto& [lsn, record] : facts_.history.records()) {
    if (lsn > acked_) break;
    if (facts_.geometry.PgOf(record.page) != pg) continue;
    if (facts_.history.IsAnnulled(lsn, record.epoch)) continue;
    const quorum::SlotSet holders = facts_.index.Holders(pg, membership, lsn);
    if (holders.Intersect(membership.base).size() >= quorum::kWriteQuorum) continue;
    return sim_.Violate(
        "I10", "pg ", pg, ": membership ", volume::FormatMembershipEpoch(membership.epoch),
        " exchanged a member while LSN ", lsn, " was on ", holders.size(), " of those that remain");
  }
}

void MembershipChecker::CheckDrop(NodeNo node, PgId pg) {
  Group& group = groups_[pg];
  const auto dropped = group.segments.extract(node);
  if (dropped.empty()) return;
  const auto [slot, told] = dropped.mapped();
  const volume::Membership& in_effect = facts_.index.InEffect(pg);
  sim_.Count(Rare::kSegmentDropped);
  if (!in_effect.IsActive(slot)) return;
  const auto named = facts_.index.nodes.find(in_effect.members[slot].node);
  if (named == facts_.index.nodes.end() || named->second != node) return;
  // Its node has left and come back to the slot: nothing that the segment said in its former time
  // counts, and nobody counts it anew before it was told (docs/PROTOCOL.md, "Membership").
  if (told < group.joined[slot]) return;
  sim_.Violate("I10", "node ", node, " dropped its segment of pg ", pg, ", which counts in ",
               volume::FormatMembershipEpoch(in_effect.epoch));
}

void MembershipChecker::CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {
  acked_ = std::max(acked_, commit);
}

void MembershipChecker::AckLeft(NodeNo node, const protocol::AppendAck& ack) {
  if (ack.status.ok()) CheckVote(node, ack.segment.pg);
}

void MembershipChecker::RaiseAnswered(NodeNo node, const protocol::RaiseEpochRequest& request,
                                      const absl::StatusOr<protocol::SegmentStatus>& reply) {
  if (reply.ok()) CheckVote(node, request.segment.pg);
}

// Every answer may count for a quorum. Beyond the budget all disks may be gone, and the volume new.
void MembershipChecker::CheckVote(NodeNo node, PgId pg) {
  const DurableIndex::Copy& copy = facts_.index.At(node, pg);
  if (!(copy.is_wiped || copy.is_amnesiac) || facts_.is_beyond_budget) return;
  sim_.Violate("I11", "node ", node, " pg ", pg,
               " answers in the place that it had before its disk was lost");
}

}  // namespace sextant::simulation
