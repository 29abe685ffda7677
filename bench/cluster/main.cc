// sextant-bench-cluster: what a cluster of its own does on this machine. A Google Benchmark
// program.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "bench/cluster/bench_cluster.h"
#include "bench/cluster/benchmarks.h"
#include "bench/initialize.h"
#include "cli/cluster/end_on_signal.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Measures a cluster of its own. Every --benchmark_... option is Google Benchmark's.",
               "sextant-bench-cluster");
  app.allow_extras();
  SuiteOptions options;
  app.add_option("--dir", options.dir, "Makes its clusters below this folder.")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Measures so long, a benchmark.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--warmup", options.warmup_seconds, "Seconds before it, which do not count.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--lag-seconds", options.lag_seconds, "Measures the readers' lag so long.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rows", options.rows, "Rows of the tables that are written to.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!InitializeBenchmark(argv[0], app.remaining())) return 2;

  const cli::EndOnSignal end_on_signal([&options](int) { EndCluster(options.dir); });
  RegisterWrites(options);
  RegisterMembers(options);
  RegisterReads(options);
  RegisterLag(options);
  RegisterRecovery(options);
  benchmark::RunSpecifiedBenchmarks();
  BenchCluster::Drop();
  return 0;
}

}  // namespace

void Register(const std::string& name, const std::string& argument,
              const std::vector<int64_t>& values, Body body) {
  auto* const registered =
      benchmark::RegisterBenchmark(name.c_str(), [body](benchmark::State& state) {
        for (auto _ : state) {
          const absl::Status status = body(state);
          if (status.ok()) continue;
          BenchCluster::Drop();  // the next one begins with a cluster that nothing happened to
          const std::string message{View(status.message())};
          std::cerr << "sextant-bench-cluster: " << message << "\n";
          state.SkipWithError(message.c_str());
          break;
        }
      });
  registered->ArgName(argument)->Iterations(1)->UseManualTime()->Unit(benchmark::kSecond);
  for (const int64_t value : values) registered->Arg(value);
}

}  // namespace sextant::bench

int main(int argc, char** argv) { return sextant::bench::Main(argc, argv); }
