// The part of Writer (writer.h) that changes members: it counts by the sets of MembershipChanger,
// tells the members, has candidates' segments made and replaced ones dropped.
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/volume/writer.h"

namespace sextant::compute {
namespace {

// Nodes with a segment to drop may be away for good: asked less often than others.
constexpr int kDropIntervals = 5;

}  // namespace

const std::string& Writer::NodeAt(MemberAddress member) const {
  static const std::string kNobody;
  if (member.pg.value() >= membership_duties_.size()) return kNobody;
  const auto& counted = membership_duties_[member.pg.value()].counted;
  const auto it = counted.find(member.slot);
  return it == counted.end() ? kNobody : it->second;
}

std::optional<quorum::Slot> Writer::SlotOf(const std::string& node, PgId pg) const {
  if (pg.value() >= changers_.size()) return std::nullopt;
  const auto& seen = membership_duties_[pg.value()].seen;
  const auto it = seen.find(node);
  if (it != seen.end() && NodeAt({pg, it->second}) == node) return it->second;
  return changers_[pg.value()].newest().SlotOf(node);
}

// Of a change that is neither finished nor undone.
bool Writer::IsCandidate(MemberAddress member) const {
  return !NodeAt(member).empty() &&
         !changers_[member.pg.value()].newest().base.Contains(member.slot);
}

// --- what segments say

void Writer::NodeSeen(const std::string& node, DirectoryId directory) {
  if (is_fenced_) return;
  const auto known = directories_.find(node);
  if (known != directories_.end() && known->second.directory == directory) return;
  directories_[node] = {directory, guard_.Request()};
  PursueGrowth();  // which takes note of nodes that it hears
}

void Writer::SegmentSeen(const std::string& node, const protocol::SegmentStatus& status) {
  const PgId pg = status.segment.pg;
  if (is_fenced_ || status.segment.volume != volume_.descriptor.volume ||
      pg.value() >= changers_.size()) {
    return;
  }
  if (changers_[pg.value()].IsMember(node, status.slot)) {
    membership_duties_[pg.value()].seen[node] = status.slot;
    MemberUp({pg, status.slot}, status);
  } else if (status.epoch <= volume_.epoch) {
    AddOrphan(pg, node);
  }
}

// The member has durably answered with a membership; of this writer's claim only.
void Writer::Told(MemberAddress member, const protocol::SegmentStatus& status) {
  if (status.epoch != volume_.epoch || status.writer != volume_.writer ||
      status.slot != member.slot) {
    return;
  }
  changers_[member.pg.value()].Told(member.slot, status.membership.epoch);
  AdvanceMembership(member.pg);
}

// --- wishes

absl::Status Writer::ReplaceMember(PgId pg, const std::string& from, const protocol::NodeStatus& to,
                                   bool hold) {
  if (is_fenced_) {
    return absl::FailedPreconditionError("fenced: this node is no longer the writer");
  }
  if (pg.value() >= changers_.size()) {
    return absl::NotFoundError(
        Text("the volume has ", changers_.size(), " protection groups, there is no number ", pg));
  }
  MembershipChanger& changer = changers_[pg.value()];
  const std::optional<quorum::Slot> replaced = changer.newest().SlotOf(from);
  const bool is_by_itself =
      to.node == from && replaced && changer.newest().base.Contains(*replaced);
  // It may have been made since it said what it holds.
  bool is_held = is_by_itself && sessions_.IsUp({pg, *replaced});
  for (const protocol::SegmentStatus& held : to.segments) {
    if (held.segment != SegmentId{volume_.descriptor.volume, pg}) continue;
    if (!changer.IsMember(to.node, held.slot)) AddOrphan(pg, to.node);
    is_held |= is_by_itself && held.slot == *replaced;
  }
  if (is_held) {
    return absl::FailedPreconditionError(
        Text("node ", from, " still holds its segment of pg ", pg,
             ": to make it anew stop the node, move its data directory away and start it again"));
  }
  if (membership_duties_[pg.value()].orphans.contains(to.node)) {
    return absl::UnavailableError(Text("node ", to.node, " holds a segment of pg ", pg,
                                       " that counts no more and is being dropped: ask again"));
  }
  if (replaced) RETURN_IF_ERROR(CheckWhoIsLeft(pg, *replaced, {to.node, to.zone}));
  const MembershipEpoch before = changer.newest().epoch;
  RETURN_IF_ERROR(changer.Replace(from, {to.node, to.zone}, hold, acks_[pg.value()].pgcl()));
  if (changer.newest().epoch != before) {
    CountByNewSets(pg);
    if (const auto slot = changer.newest().SlotOf(to.node)) {
      membership_duties_[pg.value()].pinned[*slot] = {to.directory, guard_.Request()};
    }
    TellMembers(pg);
    CreateCandidates(pg);
  }
  AdvanceMembership(pg);
  return absl::OkStatus();
}

// Of a group that was just added, or has lost members, some have no segment. Were a change begun
// with too few that have one, and this writer died before the candidate's was made, no write quorum
// of the new set would ever answer the next (simulator, seed 2001988).
absl::Status Writer::CheckWhoIsLeft(PgId pg, quorum::Slot from, volume::Member to) const {
  const auto next = volume::BeginChange(changers_[pg.value()].newest(), from, std::move(to));
  if (!next.ok()) return absl::OkStatus();  // MembershipChanger says what that means
  const quorum::QuorumSets sets = next->Sets();
  for (const quorum::SlotSet set : sets.sets()) {
    if (set.Contains(from)) continue;
    int left = 0;
    for (quorum::Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
      left += set.Contains(slot) && IsKnownToExist({pg, slot});
    }
    if (left >= quorum::kWriteQuorum) continue;
    return absl::UnavailableError(
        Text("of the members of pg ", pg, " that would be left only ", left,
             " are known to have their segment, ", quorum::kWriteQuorum,
             " must be: bring the others back, or replace those that lost theirs first"));
  }
  return absl::OkStatus();
}

bool Writer::IsKnownToExist(MemberAddress member) const {
  return sessions_.WasSeen(member) && acks_[member.pg.value()].IsCounted(member.slot);
}

absl::Status Writer::UndoReplacement(PgId pg, const std::string& from) {
  if (is_fenced_) {
    return absl::FailedPreconditionError("fenced: this node is no longer the writer");
  }
  if (pg.value() >= changers_.size()) {
    return absl::NotFoundError(
        Text("the volume has ", changers_.size(), " protection groups, there is no number ", pg));
  }
  RETURN_IF_ERROR(changers_[pg.value()].Undo(from));
  AdvanceMembership(pg);
  return absl::OkStatus();
}

// --- one step after the other

void Writer::AdvanceMembership(PgId pg) {
  MembershipChanger& changer = changers_[pg.value()];
  while (changer.Advance(acks_[pg.value()].scls())) {
    CountByNewSets(pg);
    if (!changer.IsInEffect()) TellMembers(pg);
  }
}

void Writer::CountByNewSets(PgId pg) {
  const MembershipChanger& changer = changers_[pg.value()];
  MembershipDuties& duties = membership_duties_[pg.value()];
  const quorum::QuorumSets sets = changer.CountingSets();
  const quorum::SlotSet slots = sets.AllSlots();
  for (quorum::Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
    const MemberAddress member{pg, slot};
    const bool is_counted = duties.counted.contains(slot);
    if (slots.Contains(slot) == is_counted) continue;
    sessions_.Reset(member);
    acks_[pg.value()].Join(slot);
    if (is_counted) {
      AddOrphan(pg, duties.counted[slot]);
      duties.counted.erase(slot);
      duties.pinned.erase(slot);
      shipper_.Abandon(member);
    } else {
      duties.counted[slot] = changer.ToTell(slot).members[slot].node;
      shipper_.Join(member);
    }
  }
  volume_.memberships[pg.value()] = changer.newest();
  sessions_.SetMembership(pg, changer.in_effect().epoch);
  if (pg == kGuardPg) guard_.SetSets(sets);
  if (acks_[pg.value()].SetSets(sets)) PgclRose(pg);
}

// Members that are at it go on taking batches meanwhile; one that is not is told when it comes.
void Writer::TellMembers(PgId pg) {
  const MembershipChanger& changer = changers_[pg.value()];
  membership_duties_[pg.value()].tell_at = now_ + options_.retry_interval;
  for (const quorum::Slot slot : changer.newest().ActiveSlots()) {
    if (changer.IsTold(slot) || !sessions_.IsUp({pg, slot})) continue;
    SendClaim({pg, slot});
  }
}

// What waited for the proof of some directory is made.
void Writer::CreateProven() {
  PursueGrowth();
  for (size_t i = 0; i < changers_.size(); ++i) {
    if (!changers_[i].newest().changes.empty()) CreateCandidates(PgId(static_cast<uint32_t>(i)));
  }
}

void Writer::CreateCandidates(PgId pg) {
  const MembershipChanger& changer = changers_[pg.value()];
  MembershipDuties& duties = membership_duties_[pg.value()];
  duties.create_at = now_ + options_.retry_interval;
  for (const quorum::Slot slot : changer.Candidates()) {
    const std::string& node = changer.newest().members[slot].node;
    const auto seen = duties.seen.find(node);
    if (seen != duties.seen.end() && seen->second == slot) continue;
    // Of a change that an earlier writer began: where its node is now.
    const auto heard = directories_.find(node);
    if (heard != directories_.end()) duties.pinned.try_emplace(slot, heard->second);
    const auto pin = duties.pinned.find(slot);
    if (pin == duties.pinned.end() || pin->second.proof > guard_.proven()) continue;
    output_.creates.push_back({{pg, slot},
                               node,
                               {.descriptor = volume_.descriptor,
                                .pg = pg,
                                .membership = changer.newest(),
                                .slot = slot,
                                .directory = pin->second.directory}});
  }
}

// --- segments that count no more

void Writer::AddOrphan(PgId pg, const std::string& node) {
  MembershipDuties& duties = membership_duties_[pg.value()];
  duties.orphans.insert(node);
  duties.seen.erase(node);
  duties.drop_at = now_;
}

void Writer::DropOrphans(PgId pg) {
  MembershipDuties& duties = membership_duties_[pg.value()];
  duties.drop_at = now_ + kDropIntervals * options_.retry_interval;
  for (const std::string& node : duties.orphans) {
    output_.drops.push_back({node,
                             {.segment = {volume_.descriptor.volume, pg},
                              .epoch = volume_.epoch,
                              .writer = volume_.writer,
                              .membership = changers_[pg.value()].in_effect()}});
  }
}

void Writer::SegmentDropped(const std::string& node, SegmentId segment,
                            const absl::Status& outcome) {
  if (segment.volume != volume_.descriptor.volume ||
      segment.pg.value() >= membership_duties_.size()) {
    return;
  }
  // Refused for good: it knows of a later claim, or counts after all.
  if (!outcome.ok() && !absl::IsFailedPrecondition(outcome)) return;
  membership_duties_[segment.pg.value()].orphans.erase(node);
}

// --- time, and the picture

void Writer::TickMemberships() {
  for (size_t i = 0; i < changers_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    const MembershipDuties& duties = membership_duties_[i];
    if (now_ >= duties.tell_at) TellMembers(pg);
    if (!changers_[i].newest().changes.empty() && now_ >= duties.create_at) CreateCandidates(pg);
    if (!duties.orphans.empty() && now_ >= duties.drop_at) DropOrphans(pg);
    if (!changers_[i].IsAtRest()) AdvanceMembership(pg);
  }
}

std::vector<ChangeProgress> Writer::Changes(PgId pg) const {
  const MembershipChanger& changer = changers_[pg.value()];
  std::vector<ChangeProgress> changes;
  for (const volume::MemberChange& change : changer.newest().changes) {
    changes.push_back({.from = change.from,
                       .to = change.to,
                       .scl = Member({pg, change.to}).scl,
                       .target = changer.TargetOf(change.from),
                       .is_held = changer.IsHeld(change.from)});
  }
  return changes;
}

}  // namespace sextant::compute
