// See network.h.
#include "tests/simulation/network/network.h"

namespace sextant::simulation {

void Network::JoinAll() {
  for (Link& link : links_) link.is_cut = false;
}

void Network::Calm() {
  for (Link& link : links_) {
    link.plan.slow_one_in = link.plan.lose_one_in = link.plan.duplicate_one_in = 0;
  }
}

absl::Duration Network::Delay(ProcessId from, ProcessId to) {
  const LinkPlan& plan = At(from, to).plan;
  const absl::Duration delay = sim_.Between(plan.delay_low, plan.delay_high);
  return sim_.Happens(plan.slow_one_in) ? 20 * delay : delay;
}

bool Network::Loses(ProcessId from, ProcessId to) {
  const Link& link = At(from, to);
  if (link.is_cut) return true;
  if (!sim_.Happens(link.plan.lose_one_in)) return false;
  sim_.Count(Fault::kMessageLost);
  return true;
}

}  // namespace sextant::simulation
