// What members a new protection group may have. See descriptor.h.
#include "common/volume/descriptor.h"

#include <map>
#include <set>

#include "common/base/text.h"

namespace sextant::volume {

absl::Status ValidateMembership(const Membership& membership) {
  if (membership.members.size() != quorum::kMembers) {
    return absl::InvalidArgumentError(Text("a protection group has ", quorum::kMembers,
                                           " members, not ", membership.members.size()));
  }
  std::set<std::string> nodes;
  std::map<std::string, int> members_by_zone;
  for (const Member& member : membership.members) {
    if (member.node.empty()) return absl::InvalidArgumentError("a member without a node name");
    if (!nodes.insert(member.node).second) {
      return absl::InvalidArgumentError(Text("node ", member.node, " is a member twice"));
    }
    ++members_by_zone[member.zone];
  }
  for (const auto& [zone, count] : members_by_zone) {
    if (count != quorum::kMembers / quorum::kZones) {
      return absl::InvalidArgumentError(Text("zone \"", zone, "\" holds ", count,
                                             " members; the six must lie two in each of ",
                                             quorum::kZones, " zones"));
    }
  }
  return absl::OkStatus();
}

}  // namespace sextant::volume
