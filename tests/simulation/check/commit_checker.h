// CommitChecker: I1 (an acknowledged commit is durable and stays), I2 (VDL never falls within an
// epoch; across epochs History looks at it), I4's LSN bound, I10 (a commit while members change)
// and I16 (LSN <= max(VDL, U) + LAL, bounded buffers). Commits and watermarks, judged against
// disks.
#pragma once

#include <map>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class CommitChecker final : public Checker {
 public:
  using Checker::Checker;

  void VdlMoved(ComputeNo compute, VolumeEpoch epoch, Lsn vdl) override;
  void CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override;
  void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) override;
  void WriterStepped(ComputeNo compute, const compute::Writer& writer) override;

 private:
  void CountPartOfMtr(Lsn first, Lsn commit);
  bool IsDurable(PgId pg, const volume::Membership& members, Lsn lsn) const;
  Lsn DurableThrough(PgId pg) const;

  std::map<VolumeEpoch, Lsn> vdls_;
  // Through where the group was durable, by the members in effect, when the membership was
  // proposed.
  std::map<std::pair<PgId, MembershipEpoch>, Lsn> durable_before_;
};

}  // namespace sextant::simulation
