// The closed loop: so many clients, each with one commit under way.
#pragma once

#include "absl/status/statusor.h"
#include "bench/load/target.h"
#include "common/base/histogram.h"

namespace sextant::bench {

struct LoopOptions {
  int clients = 1;
  uint64_t rows = 10'000;
  uint32_t value_bytes = 100;
  double warm_up_seconds = 1;
  double seconds = 5;
};

struct LoopResult {
  uint64_t commits = 0;
  uint64_t errors = 0;
  std::string first_error;
  double seconds = 0;
  Histogram latency_ns;
};

// Fills the table, warms up, measures. An error: the system cannot be prepared or reached.
absl::StatusOr<LoopResult> RunClosedLoop(Target* target, const LoopOptions& options);

}  // namespace sextant::bench
