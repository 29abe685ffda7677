// A load of cli/bench on a cluster, with what it cost the cluster's processes, as counters.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>

#include "absl/status/status.h"
#include "bench/cluster/bench_cluster.h"
#include "bench/cluster/benchmarks.h"
#include "cli/bench/bench.h"

namespace sextant::bench {

using RunBench = absl::StatusOr<cli::BenchReport> (*)(const cli::BenchOptions&,
                                                      const cli::BenchProgress&);

// Options for `clients` on the cluster's writer; the rest by the suite.
cli::BenchOptions LoadOptions(const SuiteOptions& suite, const BenchCluster& cluster, int clients);

// Runs it and sets time and counters. `on_measuring`, which may be empty, is called at both ends of
// what is measured.
absl::Status MeasureLoad(const BenchCluster& cluster, cli::BenchOptions options, RunBench run,
                         benchmark::State* state,
                         const std::function<void(bool begins)>& on_measuring = {});

// p50_us, p99_us, p999_us, mean_us.
void SetLatency(const Histogram& latency_ns, benchmark::State* state);

}  // namespace sextant::bench
