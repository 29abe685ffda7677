// What a volume is: identity, geometry, and who the six members of a protection group are. Core.
//
// There is no metadata server: every segment stores the descriptor of its volume and of its own
// protection group, and a recovering writer reads it back from a read quorum (S18, section 2.4;
// decision 9 of the protocol).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/quorum/quorum.h"
#include "common/volume/geometry.h"

namespace sextant::volume {

// A storage node as members know it: its stable name and zone. Addresses are the shell's business.
struct Member {
  std::string node;  // "az1-a"
  std::string zone;  // "az1"
  bool operator==(const Member&) const = default;
};

// The members of one protection group, by slot.
struct Membership {
  MembershipEpoch epoch{1};
  std::vector<Member> members;  // six at rest
  bool operator==(const Membership&) const = default;
};

// INVALID_ARGUMENT, saying which: not six members, a node twice or without a name, or not two in
// each of three zones. What a new volume must satisfy; a membership under change may not.
absl::Status ValidateMembership(const Membership& membership);

struct Descriptor {
  VolumeId volume;
  Geometry geometry;
  bool operator==(const Descriptor&) const = default;
};

// Records in (vdl, upper] that were written in an epoch below `epoch` are annulled for ever, also
// those that arrive late (SIGMOD'17, section 4.3).
struct Truncation {
  VolumeEpoch epoch;
  Lsn vdl;    // exclusive: the last durable point kept
  Lsn upper;  // inclusive: LSNs of `epoch` lie above it

  bool Annuls(Lsn lsn, VolumeEpoch record_epoch) const {
    return lsn > vdl && lsn <= upper && record_epoch < epoch;
  }
  bool operator==(const Truncation&) const = default;
};

}  // namespace sextant::volume
