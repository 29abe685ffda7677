// EndpointChecker: I6 (what a writer shows as the newest is not stale). A reply is held against the
// moment at which its request came in: no newer epoch was open then, and every commit that had been
// acknowledged by then, by whomever, is in it.
#pragma once

#include <vector>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class EndpointChecker final : public Checker {
 public:
  using Checker::Checker;

  void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) override;
  void CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override;
  void NewestShown(ComputeNo compute, VolumeEpoch epoch, Lsn position, Instant asked_at) override;

 private:
  template <typename Value>
  struct Highest {  // as it rose; ascending in both
    void Rise(Instant when, Value value) {
      if (steps.empty() || value > steps.back().second) steps.emplace_back(when, value);
    }
    // Of what had come before `when`.
    Value Before(Instant when) const;
    std::vector<std::pair<Instant, Value>> steps;
  };
  Highest<VolumeEpoch> opened_;
  Highest<Lsn> acked_;
};

}  // namespace sextant::simulation
