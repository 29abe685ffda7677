// See recovery_checker.h.
#include "tests/simulation/check/recovery_checker.h"

#include <algorithm>

namespace sextant::simulation {

using Phase = compute::Recovery::Phase;

void RecoveryChecker::RecoveryMoved(ComputeNo compute, VolumeEpoch epoch, Phase from, Phase to) {
  if (to == Phase::kFence || to == Phase::kReadTail) {
    claimants_.insert({epoch, compute});
    for (const auto& [other_epoch, other] : claimants_) {
      if (other_epoch == epoch && other != compute) return sim_.Count(Rare::kSameEpochClaimedTwice);
    }
  }
  // VDL is chosen where reading the tail ends.
  if (from >= Phase::kWriteBack || to < Phase::kWriteBack || to == Phase::kFailed) return;
  CheckSealed(epoch);
  CountSituations(epoch);
}

void RecoveryChecker::CheckSealed(VolumeEpoch epoch) {
  for (uint32_t pg = 0; pg < facts_.geometry.pg_count; ++pg) {
    int sealed = 0;
    for (const auto& [key, copy] : facts_.index.copies()) {
      sealed += key.second == PgId(pg) && copy.sealed >= epoch;
    }
    if (sealed < quorum::kReadQuorum) {
      sim_.Violate("I5", "VDL of epoch ", epoch, " chosen with ", sealed, " members of pg ", pg,
                   " durably sealed");
    }
  }
}

void RecoveryChecker::CountSituations(VolumeEpoch epoch) {
  const auto& records = facts_.history.records();
  for (auto it = records.upper_bound(facts_.history.highest_vdl()); it != records.end(); ++it) {
    if (facts_.history.IsAnnulled(it->first, it->second.epoch)) continue;
    const PgId pg = facts_.geometry.PgOf(it->second.page);
    if (facts_.index.CountWhole(pg, it->first) == 1) sim_.Count(Rare::kRecordOnOneOfReadQuorum);
  }
}

void RecoveryChecker::Opened(ComputeNo compute, const compute::RecoveredVolume& volume) {
  CheckSealed(volume.epoch);
  for (uint32_t pg = 0; pg < facts_.geometry.pg_count; ++pg) {
    int told = 0, whole = 0;
    for (const auto& [key, copy] : facts_.index.copies()) {
      if (key.second != PgId(pg)) continue;
      told +=
          copy.is_wiped || (copy.state.has_value() &&
                            std::ranges::find(copy.state->truncations, volume.truncations.back()) !=
                                copy.state->truncations.end());
      whole += volume.pg_tails[pg] == Lsn() || copy.HasEverHeld(volume.pg_tails[pg]);
    }
    if (told < quorum::kWriteQuorum) {
      sim_.Violate("I4", "epoch ", volume.epoch, " opens with ", told, " members of pg ", pg,
                   " that know its truncation");
    }
    if (whole < quorum::kWriteQuorum) {
      sim_.Violate("I1", "epoch ", volume.epoch, " opens at VDL ", volume.vdl, " with LSN ",
                   volume.pg_tails[pg], " durable on ", whole, " members of pg ", pg);
    }
  }
  // A truncation in the list whose epoch never opened: its recovery died while truncating.
  for (size_t i = 0; i + 1 < volume.truncations.size(); ++i) {
    if (!facts_.history.openings().contains(volume.truncations[i].epoch)) {
      sim_.Count(Rare::kUnfinishedTruncationFound);
    }
  }
}

void RecoveryChecker::OpeningFailed(ComputeNo compute, const absl::Status& why) {
  sim_.Tell("writer ", compute, " gives up: ", View(why.message()));
  if (!absl::IsDataLoss(why)) return;
  sim_.Count(Rare::kLossReported);
  if (!facts_.is_beyond_budget) {
    sim_.Violate("I12", "a loss was reported within the fault budget: ", View(why.message()));
  }
}

}  // namespace sextant::simulation
