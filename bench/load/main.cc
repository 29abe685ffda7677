// sextant-bench-load: the same closed loop against any of the systems that are compared.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/load/closed_loop.h"
#include "common/base/status.h"

namespace sextant::bench {
namespace {

std::unique_ptr<Target> MakeTarget(const std::string& kind, const std::string& at) {
  if (kind == "sextant") return MakeSextantTarget(at);
  if (kind == "postgres") return MakePostgresTarget(at);
  if (kind == "mariadb") return MakeMariadbTarget(at);
  return MakeEtcdTarget(at);
}

nlohmann::json ToJson(const LoopOptions& options, const LoopResult& result) {
  const auto micros = [&](double fraction) {
    return static_cast<double>(result.latency_ns.Percentile(fraction)) / 1e3;
  };
  return {{"clients", options.clients},
          {"rows", options.rows},
          {"value_bytes", options.value_bytes},
          {"seconds", result.seconds},
          {"commits", result.commits},
          {"commits_per_second", static_cast<double>(result.commits) / result.seconds},
          {"p50_us", micros(0.5)},
          {"p90_us", micros(0.9)},
          {"p99_us", micros(0.99)},
          {"max_us", static_cast<double>(result.latency_ns.max()) / 1e3},
          {"errors", result.errors},
          {"first_error", result.first_error}};
}

int Main(int argc, char** argv) {
  CLI::App app("Upserts single rows in a closed loop and prints what it measured as JSON.",
               "sextant-bench-load");
  std::string kind, at;
  LoopOptions options;
  app.add_option("target", kind, "The system under test.")
      ->required()
      ->check(CLI::IsMember({"sextant", "postgres", "mariadb", "etcd"}));
  app.add_option("at", at,
                 "How to reach it, as bench/peers/*.sh printed it; of Sextant, HOST:PORT.")
      ->required();
  app.add_option("--clients", options.clients, "Clients, each with a connection.")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--rows", options.rows, "Rows of the table.")->capture_default_str();
  app.add_option("--value-bytes", options.value_bytes, "Bytes of a row's value.")
      ->capture_default_str();
  app.add_option("--warm-up", options.warm_up_seconds, "Seconds that do not count.")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Seconds that are measured.")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const auto result = RunClosedLoop(MakeTarget(kind, at).get(), options);
  if (!result.ok()) {
    std::cerr << "sextant-bench-load: " << result.status().message() << "\n";
    return 1;
  }
  std::cout << ToJson(options, *result) << "\n";
  return result->commits > 0 ? 0 : 1;
}

}  // namespace
}  // namespace sextant::bench

int main(int argc, char** argv) { return sextant::bench::Main(argc, argv); }
