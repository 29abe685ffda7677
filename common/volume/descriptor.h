// What a volume is: its identity and geometry, and what its recoveries annulled. Core.
//
// There is no metadata server: every segment stores the descriptor of its volume and of its own
// protection group, and a recovering writer reads it back from a read quorum (S18, section 2.4;
// decision 9 of the protocol).
#pragma once

#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/volume/geometry.h"
#include "common/volume/membership.h"

namespace sextant::volume {

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
