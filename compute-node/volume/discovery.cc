// See discovery.h.
#include "compute-node/volume/discovery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/text.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {
namespace {

bool IsMember(const volume::Membership& membership, const std::string& node, quorum::Slot slot) {
  return membership.IsActive(slot) && membership.members[slot].node == node;
}

// Members of the set with the fewest answers.
int FewestIn(const volume::Membership& membership, quorum::SlotSet answered) {
  int fewest = quorum::kMembers;
  const quorum::QuorumSets sets = membership.Sets();
  for (const quorum::SlotSet set : sets.sets()) {
    fewest = std::min(fewest, set.Intersect(answered).size());
  }
  return fewest;
}

}  // namespace

VolumeEpoch LastTruncationEpoch(const std::vector<volume::Truncation>& truncations) {
  return truncations.empty() ? VolumeEpoch() : truncations.back().epoch;
}

quorum::SlotSet Discovery::Group::Members() const {
  quorum::SlotSet slots;
  for (const auto& [node, status] : answers) {
    if (IsMember(membership, node, status.slot)) slots.Insert(status.slot);
  }
  return slots;
}

bool Discovery::Group::IsReadQuorum() const { return membership.Sets().IsReadQuorum(Members()); }

Discovery::Discovery(VolumeId volume, std::vector<std::string> nodes,
                     std::optional<volume::Descriptor> known)
    : volume_(volume), nodes_(std::move(nodes)), known_(std::move(known)) {
  for (const std::string& node : nodes_) has_answered_[node] = false;
}

void Discovery::Answered(const std::string& node, const protocol::NodeStatus& status) {
  has_answered_[node] = true;
  for (const protocol::SegmentStatus& segment : status.segments) {
    if (segment.segment.volume != volume_) continue;
    if (!volume::ValidateMembership(segment.membership).ok()) continue;
    Group& group = groups_[segment.segment.pg];
    if (group.answers.empty() || segment.membership.epoch > group.membership.epoch) {
      group.membership = segment.membership;
    }
    group.answers[node] = segment;
  }
}

std::optional<volume::Descriptor> Discovery::Descriptor() const {
  std::optional<volume::Descriptor> newest = known_;
  const auto group = groups_.find(PgId(0));
  if (group == groups_.end()) return newest;
  for (const auto& [node, status] : group->second.answers) {
    if (!IsMember(group->second.membership, node, status.slot)) continue;
    if (!newest || status.descriptor.geometry.epoch > newest->geometry.epoch) {
      newest = status.descriptor;
    }
  }
  return newest;
}

bool Discovery::IsComplete() const {
  const std::optional<volume::Descriptor> descriptor = Descriptor();
  if (!descriptor) return false;
  for (uint32_t pg = 0; pg < descriptor->geometry.pg_count; ++pg) {
    const auto it = groups_.find(PgId(pg));
    if (it == groups_.end() || !it->second.IsReadQuorum()) return false;
  }
  return true;
}

Discovery::Found Discovery::Result() const {
  Found found{.descriptor = Descriptor().value_or(volume::Descriptor())};
  for (const auto& [pg, group] : groups_) {
    const bool is_leftover = pg.value() >= found.descriptor.geometry.pg_count;
    if (!is_leftover) found.memberships.push_back(group.membership);
    for (const auto& [node, status] : group.answers) {
      found.highest_epoch = std::max(found.highest_epoch, status.epoch);
      if (is_leftover) continue;
      if (LastTruncationEpoch(status.truncations) > LastTruncationEpoch(found.truncations)) {
        found.truncations = status.truncations;
      }
    }
  }
  return found;
}

std::vector<std::string> Discovery::SilentNodes() const {
  std::vector<std::string> silent;
  for (const auto& [node, has_answered] : has_answered_) {
    if (!has_answered) silent.push_back(node);
  }
  return silent;
}

std::string Discovery::Describe() const {
  const std::vector<std::string> silent = SilentNodes();
  const std::string tail =
      silent.empty() ? std::string() : Text("; silent: ", absl::StrJoin(silent, ", "));
  const std::optional<volume::Descriptor> descriptor = Descriptor();
  if (!descriptor) {
    return Text("no member of pg 0 has answered for volume ", FormatVolumeId(volume_), tail);
  }
  for (uint32_t pg = 0; pg < descriptor->geometry.pg_count; ++pg) {
    const auto it = groups_.find(PgId(pg));
    const int count =
        it == groups_.end() ? 0 : FewestIn(it->second.membership, it->second.Members());
    if (count >= quorum::kReadQuorum) continue;
    return Text("pg ", pg, ": ", count, " of ", quorum::kReadQuorum, " members", tail);
  }
  return Text("complete", tail);
}

}  // namespace sextant::compute
