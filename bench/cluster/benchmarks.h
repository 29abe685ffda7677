// What sextant-bench-cluster measures, by family. Each registers Google Benchmarks with manual
// time, one iteration a run; figures are counters. README.md says what the counters are.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sextant::bench {

struct SuiteOptions {
  std::string dir = ".";  // on the disk that is to be measured
  double seconds = 3;     // measured, a benchmark
  double warmup_seconds = 1;
  double lag_seconds = 10;  // a reader tells percentiles of its last ten seconds
  uint64_t rows = 10000;
};

void RegisterWrites(const SuiteOptions& options);    // append/..., sql/..., binlog/...
void RegisterMembers(const SuiteOptions& options);   // members/...
void RegisterReads(const SuiteOptions& options);     // read/...
void RegisterLag(const SuiteOptions& options);       // lag/...
void RegisterRecovery(const SuiteOptions& options);  // recovery/...

// One run of one benchmark: what it returns is why it failed; it sets time and counters itself.
using Body = std::function<absl::Status(benchmark::State& state)>;
// `argument`: what its numbers are, for example "clients".
void Register(const std::string& name, const std::string& argument,
              const std::vector<int64_t>& values, Body body);

}  // namespace sextant::bench
