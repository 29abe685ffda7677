// See founding.h.
#include "compute-node/writer/founding.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/text.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {
namespace {

using Kind = FoundingVerdict::Kind;

FoundingVerdict Refuse(std::string why) {
  return {.kind = Kind::kRefuse, .error = absl::FailedPreconditionError(why)};
}

std::string Join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// Answers that do not fit the configuration: a node under another name or in another zone.
absl::Status CheckIdentity(const volume::Membership& membership, const NodeAnswers& answers) {
  for (const volume::Member& member : membership.members) {
    const auto answer = answers.find(member.node);
    if (answer == answers.end()) continue;
    const protocol::NodeStatus& status = answer->second;
    if (status.node == member.node && status.zone == member.zone) continue;
    return absl::FailedPreconditionError(
        Text("storage node ", member.node, "@", member.zone, " calls itself ", status.node, "@",
             status.zone, ": correct --storage-node or the node's own --node and --zone"));
  }
  return absl::OkStatus();
}

// Every segment of `descriptor` that no answer shows yet.
std::vector<NodeCreateRequest> MissingSegments(const volume::Membership& membership,
                                               const NodeAnswers& answers,
                                               const volume::Descriptor& descriptor) {
  std::vector<NodeCreateRequest> requests;
  for (uint32_t pg = 0; pg < descriptor.geometry.pg_count; ++pg) {
    for (size_t slot = 0; slot < membership.members.size(); ++slot) {
      const std::string& node = membership.members[slot].node;
      const auto& held = answers.at(node).segments;
      const SegmentId segment{descriptor.volume, PgId(pg)};
      const bool is_held = std::any_of(
          held.begin(), held.end(), [&](const auto& status) { return status.segment == segment; });
      if (is_held) continue;
      requests.push_back({node,
                          {descriptor, PgId(pg), membership, static_cast<quorum::Slot>(slot),
                           answers.at(node).directory}});
    }
  }
  return requests;
}

std::vector<std::string> Silent(const volume::Membership& membership, const NodeAnswers& answers) {
  std::vector<std::string> silent;
  for (const volume::Member& member : membership.members) {
    if (!answers.contains(member.node)) silent.push_back(member.node);
  }
  return silent;
}

struct Found {
  std::map<VolumeId, std::vector<std::string>> nodes_by_volume;
  std::optional<volume::Descriptor> descriptor;  // of the volume, when it is the only one
  VolumeEpoch highest_epoch;
};

Found Survey(const NodeAnswers& answers) {
  Found found;
  for (const auto& [node, status] : answers) {
    for (const protocol::SegmentStatus& segment : status.segments) {
      auto& nodes = found.nodes_by_volume[segment.segment.volume];
      if (nodes.empty() || nodes.back() != node) nodes.push_back(node);
      found.descriptor = segment.descriptor;
      found.highest_epoch = std::max(found.highest_epoch, segment.epoch);
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<volume::Membership> MembershipOf(std::vector<volume::Member> nodes) {
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
    return std::pair(a.zone, a.node) < std::pair(b.zone, b.node);
  });
  std::set<std::string> names;
  std::map<std::string, int> per_zone;
  for (const volume::Member& node : nodes) {
    names.insert(node.node);
    ++per_zone[node.zone];
  }
  if (nodes.size() != quorum::kMembers || names.size() != nodes.size()) {
    return absl::InvalidArgumentError(Text("a volume needs ", quorum::kMembers,
                                           " differently named storage nodes; ", names.size(),
                                           " were given"));
  }
  for (const auto& [zone, count] : per_zone) {
    if (count == quorum::kMembers / quorum::kZones) continue;
    return absl::InvalidArgumentError(
        Text("zone ", zone, " has ", count, " storage nodes; each of three zones must have two"));
  }
  volume::Membership membership;
  membership.members = std::move(nodes);
  return membership;
}

FoundingVerdict DecideFounding(const volume::Membership& membership, const NodeAnswers& answers,
                               const std::optional<volume::Descriptor>& fresh) {
  if (absl::Status identity = CheckIdentity(membership, answers); !identity.ok()) {
    return {.kind = Kind::kRefuse, .error = std::move(identity)};
  }
  const Found found = Survey(answers);
  if (found.nodes_by_volume.size() > 1) {
    std::string who;
    for (const auto& [volume, nodes] : found.nodes_by_volume) {
      who += Text(who.empty() ? "" : "; ", "volume ", FormatVolumeId(volume), " on ", Join(nodes));
    }
    return Refuse(Text("the storage nodes' data directories belong to different volumes: ", who,
                       ". Nothing was touched: give each node the directory it had"));
  }
  const std::vector<std::string> silent = Silent(membership, answers);
  if (!found.nodes_by_volume.empty()) {
    const VolumeId volume = found.nodes_by_volume.begin()->first;
    if (found.highest_epoch > VolumeEpoch(0)) return {.kind = Kind::kRecover, .volume = volume};
    if (!silent.empty()) {
      return {.why = Text("volume ", FormatVolumeId(volume), " is being created; waiting for ",
                          Join(silent))};
    }
    auto requests = MissingSegments(membership, answers, *found.descriptor);
    return {.kind = requests.empty() ? Kind::kRecover : Kind::kCreate,
            .volume = volume,
            .requests = std::move(requests)};
  }
  if (!silent.empty()) {
    return {.why = Text("no volume found so far; waiting for ", Join(silent))};
  }
  if (!fresh) {
    return Refuse(
        "the storage nodes hold no volume: start with --create-volume to make one, or give the "
        "nodes "
        "the data directories they had");
  }
  return {.kind = Kind::kCreate,
          .volume = fresh->volume,
          .requests = MissingSegments(membership, answers, *fresh)};
}

}  // namespace sextant::compute
