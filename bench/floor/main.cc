// sextant-bench-floor: quorum appends without a database. A Google Benchmark program; its replicas
// are copies of itself.
#include <benchmark/benchmark.h>

#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "bench/floor/floor.h"
#include "bench/floor/replica_processes.h"

namespace sextant::bench {
namespace {

using Load = FloorResult (*)(const std::vector<int>& ports, const FloorLoad& load);

void Measure(benchmark::State& state, const char* kind, Load load, const std::string& dir) {
  const ReplicaProcesses replicas(kind, dir);
  FloorResult result;
  for (auto _ : state) {
    result = load(replicas.ports(), {.depth = static_cast<uint64_t>(state.range(0))});
    state.SetIterationTime(result.seconds);
  }
  state.counters["p50_us"] = static_cast<double>(result.latency_ns.Percentile(0.5)) / 1e3;
  state.counters["p99_us"] = static_cast<double>(result.latency_ns.Percentile(0.99)) / 1e3;
  state.counters["per_second"] = static_cast<double>(result.records) / result.seconds;
}

void Register(const char* kind, Load load, const std::string& dir) {
  benchmark::RegisterBenchmark((std::string("floor/") + kind).c_str(),
                               [=](benchmark::State& state) { Measure(state, kind, load, dir); })
      ->ArgName("depth")
      ->Arg(1)
      ->Arg(16)
      ->Arg(64)
      ->Arg(256)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kSecond);
}

// Takes "--dir DIR" out of the arguments.
std::string TakeDir(int* argc, char** argv) {
  for (int i = 1; i + 1 < *argc; ++i) {
    if (std::string_view(argv[i]) != "--dir") continue;
    std::string dir = argv[i + 1];
    for (int j = i; j + 2 < *argc; ++j) argv[j] = argv[j + 2];
    *argc -= 2;
    return dir;
  }
  return ".";
}

int Main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--replica") {
    const int ready_fd = std::stoi(argv[4]);
    std::string_view(argv[2]) == "tcp" ? ServeTcpReplica(argv[3], ready_fd)
                                       : ServeGrpcReplica(argv[3], ready_fd);
  }
  const std::string dir = TakeDir(&argc, argv);
  Register("tcp", LoadTcp, dir);
  Register("grpc", LoadGrpc, dir);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    std::cerr
        << "usage: sextant-bench-floor [--dir DIR] [--benchmark_...]\n"
           "DIR, the current folder by default, should be on the disk that is to be measured.\n";
    return 2;
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace sextant::bench

int main(int argc, char** argv) { return sextant::bench::Main(argc, argv); }
