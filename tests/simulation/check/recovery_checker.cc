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
  CheckSealed(epoch, facts_.geometry.pg_count);
  CountSituations(epoch);
}

void RecoveryChecker::CheckSealed(VolumeEpoch epoch, uint32_t pg_count) {
  for (PgId pg(0); pg.value() < pg_count; pg = pg.Next()) {
    const volume::Membership& members = facts_.index.InEffect(pg);
    const quorum::SlotSet sealed = facts_.index.Where(
        pg, members, [epoch](const DurableIndex::Copy& copy) { return copy.sealed >= epoch; });
    if (HasOfEverySet(members, sealed, quorum::kReadQuorum)) continue;
    sim_.Violate("I5", "VDL of epoch ", epoch, " chosen with ", sealed.size(), " members of pg ",
                 pg, " durably sealed");
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
  CheckSealed(volume.epoch, static_cast<uint32_t>(volume.memberships.size()));
  for (PgId pg(0); pg.value() < volume.memberships.size(); pg = pg.Next()) CheckGroup(volume, pg);
  CheckSize(volume);
  // A truncation in the list whose epoch never opened: its recovery died while truncating.
  for (size_t i = 0; i + 1 < volume.truncations.size(); ++i) {
    if (!facts_.history.openings().contains(volume.truncations[i].epoch)) {
      sim_.Count(Rare::kUnfinishedTruncationFound);
    }
  }
}

// No record may lie beyond the end of the volume, other than a successor's: a claimant that had
// paused may open after it, of an epoch that is over.
void RecoveryChecker::CheckSize(const compute::RecoveredVolume& volume) {
  const size_t groups = volume.memberships.size();
  if (groups_used_ > 0 && groups > groups_used_) sim_.Count(Rare::kGrowthTakenOver);
  for (const auto& [lsn, record] : facts_.history.records()) {
    const PgId pg = facts_.geometry.PgOf(record.page);
    if (pg.value() < groups || record.epoch >= volume.epoch) continue;
    if (facts_.history.IsAnnulled(lsn, record.epoch)) continue;
    return sim_.Violate("I1", "epoch ", volume.epoch, " opens with ", groups, " groups, LSN ", lsn,
                        " lies in pg ", pg);
  }
}

void RecoveryChecker::WriterStepped(ComputeNo compute, const compute::Writer& writer) {
  groups_used_ = std::max<size_t>(groups_used_, writer.geometry().pg_count);
}

void RecoveryChecker::CheckGroup(const compute::RecoveredVolume& volume, PgId pg) {
  const Lsn tail = volume.pg_tails[pg.value()];
  const volume::Membership& opened = volume.memberships[pg.value()];
  const auto knows = [&](const DurableIndex::Copy& copy) {
    return copy.is_wiped ||
           (copy.state.has_value() &&
            std::ranges::find(copy.state->truncations, volume.truncations.back()) !=
                copy.state->truncations.end());
  };
  if (!opened.changes.empty()) sim_.Count(Rare::kRecoveryMetChange);
  const auto& openings = facts_.history.openings();
  const bool is_succeeded = openings.upper_bound(volume.epoch) != openings.end();
  for (const volume::Membership* members : {&opened, &facts_.index.InEffect(pg)}) {
    // A claimant that had paused, and was succeeded meanwhile, is judged by the members it knows.
    if (members != &opened && is_succeeded) continue;
    const quorum::SlotSet told = facts_.index.WhereEver(pg, *members, knows);
    if (!HasOfEverySet(*members, told, quorum::kWriteQuorum)) {
      sim_.Violate("I4", "epoch ", volume.epoch, " opens with ", told.size(), " members of pg ", pg,
                   " that know its truncation");
    }
    const quorum::SlotSet whole = facts_.index.Holders(pg, *members, tail);
    if (tail > Lsn() && !HasOfEverySet(*members, whole, quorum::kWriteQuorum)) {
      sim_.Violate("I1", "epoch ", volume.epoch, " opens at VDL ", volume.vdl, " with LSN ", tail,
                   " durable on ", whole.size(), " members of pg ", pg);
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
