// Founding: does a volume exist on these six nodes, must one be made, or is something wrong? Core,
// pure.
//
// A volume is founded by creating every segment of every protection group on its six nodes, under
// epoch 0; the first recovery raises the epoch to 1 and ends the founding. So a founding that was
// interrupted is known by its segments: one volume, all of epoch 0, some missing. It is continued
// with the same descriptor. Wiped or swapped data directories are told apart from new ones, never
// written over.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/protocol/storage_messages.h"
#include "common/volume/descriptor.h"

namespace sextant::compute {

// What the storage nodes answered, by name; those that have not are missing.
using NodeAnswers = std::map<std::string, protocol::NodeStatus>;

struct NodeCreateRequest {
  std::string node;
  protocol::CreateSegmentRequest request;
};

struct FoundingVerdict {
  enum class Kind {
    kWait,     // `why` says for what
    kCreate,   // carry out `requests`, all of them, then recover `volume`
    kRecover,  // `volume` exists
    kRefuse,   // `error`: FAILED_PRECONDITION; a person must look
  };
  Kind kind = Kind::kWait;
  std::string why;
  absl::Status error;
  VolumeId volume;
  std::vector<NodeCreateRequest> requests;
};

// The membership that six nodes give: slots in order of zone, then name. INVALID_ARGUMENT: not six
// different nodes, two in each of three zones.
absl::StatusOr<volume::Membership> MembershipOf(std::vector<volume::Member> nodes);

// `fresh`: the descriptor to found a volume with if there is none; nullopt where that is not
// allowed.
FoundingVerdict DecideFounding(const volume::Membership& membership, const NodeAnswers& answers,
                               const std::optional<volume::Descriptor>& fresh);

}  // namespace sextant::compute
