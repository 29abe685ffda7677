// What plans are drawn with: nodes, shares of the span, faults in a row. Internal to scenario/.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/prng.h"
#include "fault/scenario/scenario.h"

namespace sextant::fault {

const std::string& PickOf(const std::vector<std::string>& names, Prng* prng);
// `count` different ones, in random order.
std::vector<std::string> PickSome(std::vector<std::string> names, size_t count, Prng* prng);
// Between `low` and `high` percent of it.
absl::Duration Share(absl::Duration span, uint64_t low, uint64_t high, Prng* prng);
// One step that begins at once and lasts for the whole span.
Plan Throughout(absl::Duration span, Step step);
// Faults in a row, drawn from these, on any process, some overlapping; none on a node that suffers
// one already.
Plan AtRandom(const Topology& topology, absl::Duration span, Prng* prng,
              const std::vector<Fault>& faults, int most_percent);

}  // namespace sextant::fault
