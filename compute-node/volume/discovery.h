// Discovery: what a volume is, learnt from the storage nodes that hold its segments. Core.
//
// First step of recovery (recovery.h). There is no metadata server: a read quorum of every
// protection group says what the geometry, the memberships, the highest epoch and the truncations
// are. The highest epoch wins in each. The geometry is what members of protection group 0 say,
// nobody else: it counts once they have it on a write quorum, and whatever any of them has heard of
// exists (docs/PROTOCOL.md, "Growth"). Segments of groups beyond it are leftovers of a growth that
// was not finished: all they tell is which epochs were claimed. A truncation list is taken whole,
// from whoever's last truncation is of the highest epoch: lists are never merged, because a
// truncation that its recovery did not finish may be missing from the later list for good
// (docs/PROTOCOL.md, "Recovery"). Of the members those count that the newest membership heard of
// names.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/protocol/storage_messages.h"
#include "common/quorum/quorum.h"
#include "common/volume/descriptor.h"

namespace sextant::compute {

// Epoch of the list's last truncation; 0 for none. Of two lists the one with the higher wins whole.
VolumeEpoch LastTruncationEpoch(const std::vector<volume::Truncation>& truncations);

class Discovery {
 public:
  struct Found {
    volume::Descriptor descriptor;
    std::vector<volume::Membership> memberships;  // by PG
    VolumeEpoch highest_epoch;
    std::vector<volume::Truncation> truncations;
  };

  // `known`: a geometry that a member of group 0 was seen to have; nothing smaller is found.
  Discovery(VolumeId volume, std::vector<std::string> nodes,
            std::optional<volume::Descriptor> known = std::nullopt);

  void Answered(const std::string& node, const protocol::NodeStatus& status);

  // A read quorum of every protection group has answered.
  bool IsComplete() const;
  // Best knowledge so far; memberships are those of the answers when IsComplete.
  Found Result() const;
  std::vector<std::string> SilentNodes() const;
  // "pg 0: 2 of 3 members; silent: az3-a, az3-b".
  std::string Describe() const;

 private:
  struct Group {
    volume::Membership membership;
    std::map<std::string, protocol::SegmentStatus> answers;  // by node
    quorum::SlotSet Members() const;  // answers that come from members, each in its place
    bool IsReadQuorum() const;
  };

  // The newest that members of group 0 told of; nullopt: none has answered.
  std::optional<volume::Descriptor> Descriptor() const;

  VolumeId volume_;
  std::vector<std::string> nodes_;
  std::optional<volume::Descriptor> known_;
  std::map<std::string, bool> has_answered_;
  std::map<PgId, Group> groups_;
};

}  // namespace sextant::compute
