// See endpoint_checker.h.
#include "tests/simulation/check/endpoint_checker.h"

#include <algorithm>

namespace sextant::simulation {

template <typename Value>
Value EndpointChecker::Highest<Value>::Before(Instant when) const {
  const auto after = std::ranges::lower_bound(steps, when, {}, &std::pair<Instant, Value>::first);
  return after == steps.begin() ? Value() : std::prev(after)->second;
}

void EndpointChecker::Opened(ComputeNo compute, const compute::RecoveredVolume& volume) {
  opened_.Rise(sim_.loop.now(), volume.epoch);
}

void EndpointChecker::CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {
  acked_.Rise(sim_.loop.now(), commit);
}

void EndpointChecker::NewestShown(ComputeNo compute, VolumeEpoch epoch, Lsn position,
                                  Instant asked_at) {
  ++sim_.report.proven_reads;
  const VolumeEpoch newest = opened_.Before(asked_at);
  if (newest > epoch) {
    sim_.Violate("I6", "epoch ", epoch, " answered a read that came in when epoch ", newest,
                 " was open");
  }
  const Lsn acked = acked_.Before(asked_at);
  if (position < acked) {
    sim_.Violate("I6", "epoch ", epoch, " showed the volume as of LSN ", position, " when commit ",
                 acked, " had been acknowledged");
  }
}

}  // namespace sextant::simulation
