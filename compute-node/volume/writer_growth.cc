// The part of Writer (writer.h) that deals with protection groups being added (growth.h).
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "compute-node/volume/writer.h"

namespace sextant::compute {

void Writer::SegmentCreated(MemberAddress member,
                            const absl::StatusOr<protocol::SegmentStatus>& reply) {
  if (is_fenced_) return;
  growth_.SegmentCreated(member, reply, volume_);
  // A member's, which was missing, or a candidate's; of a group that is being added nobody counts
  // yet.
  if (reply.ok() && !NodeAt(member).empty()) SegmentSeen(NodeAt(member), *reply);
  // In its place is one that a growth left behind which nobody finished.
  if (absl::IsAborted(reply.status()) && !NodeAt(member).empty()) {
    AddOrphan(member.pg, NodeAt(member));
  }
  // The directory that it was to be made in is lost.
  if (absl::IsFailedPrecondition(reply.status()) && IsCandidate(member)) LoseMember(member);
  PursueGrowth();
}

// A group that this writer added, and a member that has never answered since. Of a group that was
// there before it may have promised an epoch to somebody, though it holds no record: it counts as
// lost.
bool Writer::SegmentMissing(MemberAddress member, bool is_well) {
  const volume::Membership& newest = changers_[member.pg.value()].newest();
  if (IsCandidate(member)) {
    const bool is_lost = sessions_.WasSeen(member);
    if (is_lost && !is_fenced_) LoseMember(member);
    // One that replaces itself may get its old segment yet.
    const auto change = std::ranges::find(newest.changes, member.slot, &volume::MemberChange::to);
    if (change != newest.changes.end()) {
      const MemberAddress from{member.pg, change->from};
      const bool is_by_itself = NodeAt(from) == newest.members[member.slot].node;
      if (is_by_itself && !sessions_.WasSeen(from)) sessions_.NeedsClaimLater(from, now_);
    }
    return !is_lost;
  }
  if (sessions_.WasSeen(member)) return false;
  if (is_fenced_) return true;
  if (member.pg.value() < recovered_groups_ || !is_well) {
    // Perhaps it was never made, and a former writer's request to make it is still under way.
    sessions_.NeedsClaimLater(member, now_);
    return false;
  }
  growth_.Missing(member);
  PursueGrowth();
  return true;
}

// A growth that its writer did not finish, and that recovery did not see: it is finished, so that
// it need not be kept in mind.
void Writer::HearOfGroups(MemberAddress member, const protocol::SegmentStatus& status) {
  if (member.pg != PgId(0) || status.epoch > volume_.epoch) return;
  if (status.segment != SegmentId{volume_.descriptor.volume, member.pg}) return;
  if (status.descriptor.geometry.epoch <= geometry().epoch) return;
  growth_.Heard(status.descriptor.geometry.pg_count);
}

void Writer::PursueGrowth() {
  if (is_fenced_) return;
  while (std::optional<Growth::Done> done = growth_.TakeDone()) AddGroups(*std::move(done));
  growth_.Pursue(volume_, directories_, guard_.proven(), now_);
  Growth::Duties duties = growth_.TakeDuties();
  for (Growth::CreateSegment& create : duties.creates) {
    output_.creates.push_back(std::move(create));
  }
  for (Growth::RaiseEpoch& raise : duties.raises) {
    output_.raise_epochs.push_back({raise.member, std::move(raise.node), std::move(raise.request)});
  }
}

// What is kept for each group of the volume, those that recovery found and those added since.
void Writer::AddGroup(const volume::Membership& membership, Lsn tail) {
  const PgId pg(static_cast<uint32_t>(acks_.size()));
  shipper_.AddGroup(tail);
  sessions_.AddGroup(membership.epoch);
  acks_.emplace_back(membership.Sets(), tail);
  held_by_all_.emplace_back(options_.max_member_absence);
  changers_.emplace_back(membership, tail);
  membership_duties_.emplace_back();
  last_sent_.emplace_back();
  CountByNewSets(pg);
}

void Writer::AddGroups(Growth::Done done) {
  SEXTANT_CHECK(done.descriptor.geometry.pg_count == acks_.size() + done.memberships.size());
  ++counters_.growths;
  counters_.added_groups += done.memberships.size();
  volume_.descriptor = done.descriptor;
  for (const volume::Membership& membership : done.memberships) {
    durability_.AddGroup();
    head_tails_.AddGroup();
    durable_tails_.AddGroup();
    volume_.pg_tails.emplace_back();
    volume_.memberships.push_back(membership);
    AddGroup(membership, Lsn());
  }
  buffer_.Grow(geometry());
  for (const auto& [member, status] : done.members) {
    SegmentSeen(NodeAt(member), status);
  }
}

}  // namespace sextant::compute
