// What happened to a simulated volume, across its claimants, and what of it may never be undone.
// Tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "compute-node/volume/recovery.h"

namespace sextant::compute::testing {

// Everything that ever happened, across claimants.
struct History {
  struct Record {
    Lsn mtr;  // its mini-transaction's commit LSN
    PgId pg;
    VolumeEpoch epoch;
    std::string payload;
  };
  std::map<Lsn, Record> appended;
  std::set<Lsn> acked;                // commit LSNs
  Lsn highest_durable;                // highest VDL any writer had
  std::map<VolumeEpoch, Lsn> opened;  // epoch -> VDL it opened at
  uint64_t recoveries = 0, restarts = 0, added_groups = 0;
  uint32_t used_groups = 0;  // something was appended there
  uint64_t proofs = 0, disproofs = 0;

  void Opened(const RecoveredVolume& volume) {
    EXPECT_TRUE(opened.emplace(volume.epoch, volume.vdl).second)
        << "epoch " << volume.epoch << " opened twice";
    ++recoveries;
    // Paused before its last answers, and succeeded meanwhile: it opens what is closed to it.
    if (volume.epoch < opened.rbegin()->first) return;
    EXPECT_GE(volume.vdl, highest_durable) << "VDL fell";
    EXPECT_GE(volume.descriptor.geometry.pg_count, used_groups) << "the volume shrank";
    EXPECT_GT(volume.next_lsn, appended.empty() ? Lsn() : appended.rbegin()->first);
    highest_durable = std::max(highest_durable, volume.vdl);
  }
  void Durable(VolumeEpoch epoch, Lsn vdl) {
    highest_durable = std::max(highest_durable, vdl);
    for (auto it = opened.upper_bound(epoch); it != opened.end(); ++it) {
      EXPECT_GE(it->second, vdl) << "durable in epoch " << epoch << ", lost by " << it->first;
    }
  }
  // Whether a recovery cut the record off.
  bool IsAnnulled(Lsn lsn, const Record& record) const {
    for (auto it = opened.upper_bound(record.epoch); it != opened.end(); ++it) {
      if (lsn > it->second) return true;
    }
    return false;
  }
};

}  // namespace sextant::compute::testing
