// See draw.h.
#include "fault/scenario/draw.h"

#include <utility>

namespace sextant::fault {

const std::string& PickOf(const std::vector<std::string>& names, Prng* prng) {
  return names[prng->Below(names.size())];
}

std::vector<std::string> PickSome(std::vector<std::string> names, size_t count, Prng* prng) {
  for (size_t i = 0; i < count; ++i) {
    std::swap(names[i], names[i + prng->Below(names.size() - i)]);
  }
  names.resize(count);
  return names;
}

absl::Duration Share(absl::Duration span, uint64_t low, uint64_t high, Prng* prng) {
  return span * static_cast<double>(prng->Between(low, high)) / 100;
}

Plan Throughout(absl::Duration span, Step step) {
  step.lasting = span;
  return {std::move(step)};
}

Plan AtRandom(const Topology& topology, absl::Duration span, Prng* prng,
              const std::vector<Fault>& faults, int most_percent) {
  constexpr int kCount = 10;
  const std::vector<std::string> nodes = topology.AllBut({});
  std::vector<absl::Duration> free_at(nodes.size(), absl::ZeroDuration());
  Plan plan;
  for (int i = 0; i < kCount; ++i) {
    const absl::Duration at = span * i / kCount;
    const size_t node = prng->Below(nodes.size());
    if (free_at[node] > at) continue;
    Step step = {.at = at, .targets = {nodes[node]}, .lasting = Share(span, 1, most_percent, prng)};
    free_at[node] = at + step.lasting + absl::Milliseconds(1);
    step.fault = faults.size() == 1 ? faults[0] : faults[prng->Below(faults.size())];
    step.others = topology.AllBut(step.targets);
    if (step.fault == Fault::kSlowLinks) step.delay = absl::Milliseconds(prng->Between(20, 300));
    plan.push_back(std::move(step));
  }
  return plan;
}

}  // namespace sextant::fault
