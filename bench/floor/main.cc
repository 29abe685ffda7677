// sextant-bench-floor: quorum appends without a database. A Google Benchmark program; its replicas
// are copies of itself.
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bench/floor/floor.h"
#include "bench/floor/replica_processes.h"
#include "bench/initialize.h"

namespace sextant::bench {
namespace {

using Load = FloorResult (*)(const std::vector<int>& ports, const FloorLoad& load);

struct Options {
  std::string dir = ".";
  double seconds = 2;
};

void Measure(benchmark::State& state, const char* kind, Load load, const Options& options) {
  const ReplicaProcesses replicas(kind, options.dir);
  FloorResult result;
  for (auto _ : state) {
    result = load(replicas.ports(), {.depth = static_cast<uint64_t>(state.range(0)),
                                     .measured = std::chrono::duration<double>(options.seconds)});
    state.SetIterationTime(result.seconds);
  }
  state.counters["p50_us"] = static_cast<double>(result.latency_ns.Percentile(0.5)) / 1e3;
  state.counters["p99_us"] = static_cast<double>(result.latency_ns.Percentile(0.99)) / 1e3;
  state.counters["per_second"] = static_cast<double>(result.records) / result.seconds;
}

void Register(const char* kind, Load load, const Options& options) {
  benchmark::RegisterBenchmark(
      (std::string("floor/") + kind).c_str(),
      [=](benchmark::State& state) { Measure(state, kind, load, options); })
      ->ArgName("depth")
      ->Arg(1)
      ->Arg(16)
      ->Arg(64)
      ->Arg(256)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kSecond);
}

int Main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--replica") {
    const int ready_fd = std::stoi(argv[4]);
    std::string_view(argv[2]) == "tcp" ? ServeTcpReplica(argv[3], ready_fd)
                                       : ServeGrpcReplica(argv[3], ready_fd);
  }
  CLI::App app("Measures quorum appends without a database. --benchmark_...: Google Benchmark's.",
               "sextant-bench-floor");
  app.allow_extras();
  Options options;
  app.add_option("--dir", options.dir, "Has the replicas' files, so it is their disk that counts.")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Measures so long, a benchmark.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Register("tcp", LoadTcp, options);
  Register("grpc", LoadGrpc, options);
  if (!InitializeBenchmark(argv[0], app.remaining())) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace sextant::bench

int main(int argc, char** argv) { return sextant::bench::Main(argc, argv); }
