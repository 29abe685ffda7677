// RecoveryChecker: I5 (a quorum is durably sealed when VDL is chosen, and knows the truncation when
// the volume opens) and I12 (a loss is reported only beyond the fault budget).
#pragma once

#include <set>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class RecoveryChecker final : public Checker {
 public:
  using Checker::Checker;

  void RecoveryMoved(ComputeNo compute, VolumeEpoch epoch, compute::Recovery::Phase from,
                     compute::Recovery::Phase to) override;
  void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) override;
  void WriterStepped(ComputeNo compute, const compute::Writer& writer) override;
  void OpeningFailed(ComputeNo compute, const absl::Status& why) override;

 private:
  void CheckSealed(VolumeEpoch epoch, uint32_t pg_count);
  void CheckSize(const compute::RecoveredVolume& volume);
  void CheckGroup(const compute::RecoveredVolume& volume, PgId pg);
  void CountSituations(VolumeEpoch epoch);

  std::set<std::pair<VolumeEpoch, ComputeNo>> claimants_;
  size_t groups_used_ = 0;  // at most, by any writer
};

}  // namespace sextant::simulation
