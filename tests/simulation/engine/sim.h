// Sim: what all parts of one simulated day share.
#pragma once

#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "common/base/prng.h"
#include "common/base/text.h"
#include "tests/simulation/engine/event_loop.h"
#include "tests/simulation/engine/observer.h"
#include "tests/simulation/engine/report.h"

namespace sextant::simulation {

struct Sim {
  explicit Sim(uint64_t seed) : rng(seed) {}

  EventLoop loop;
  Prng rng;
  Report report;
  Observer* observer = nullptr;
  bool is_verbose = false;

  void Count(Fault fault) { ++report.faults[static_cast<size_t>(fault)]; }
  void Count(Rare rare) { ++report.rares[static_cast<size_t>(rare)]; }

  bool Happens(uint64_t one_in) { return one_in > 0 && rng.OneIn(one_in); }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    return absl::Nanoseconds(
        static_cast<int64_t>(rng.Between(static_cast<uint64_t>(absl::ToInt64Nanoseconds(low)),
                                         static_cast<uint64_t>(absl::ToInt64Nanoseconds(high)))));
  }

  // A rule is broken: the day ends here. The first one stands.
  template <typename... Parts>
  void Violate(std::string_view invariant, const Parts&... parts) {
    if (!report.violation.empty()) return;
    report.violation = Text(invariant, ": ", parts...);
    loop.Stop();
  }
  // One line of the story, for --verbose.
  template <typename... Parts>
  void Tell(const Parts&... parts) {
    if (!is_verbose) return;
    std::printf("%12.6f  %s\n", absl::ToDoubleSeconds(loop.now() - Instant()),
                Text(parts...).c_str());
  }
};

}  // namespace sextant::simulation
