// See measured_load.h.
#include "bench/cluster/measured_load.h"

#include <unistd.h>

#include <chrono>

#include "cli/compare/traffic_meter.h"
#include "common/base/status.h"

namespace sextant::bench {
namespace {

void SetCosts(const cli::BenchReport& report, const cli::Traffic& cluster,
              const cli::Traffic& driver, benchmark::State* state) {
  const cli::CommitCosts costs = cli::CostsOf(report);
  const auto per_commit = [&report](auto total) {
    return static_cast<double>(total) / static_cast<double>(report.commits);
  };
  auto& counters = state->counters;
  counters["redo_B"] = costs.redo_bytes;
  counters["redo_records"] = costs.records;
  counters["sends_per_copy"] = costs.sends_per_copy;
  counters["net_writes"] = per_commit(cluster.network_writes);
  counters["net_B"] = per_commit(cluster.network_bytes);
  counters["disk_B"] = per_commit(cluster.disk_bytes);
  counters["cpu_us"] = per_commit(cluster.cpu_seconds) * 1e6;
  counters["switches"] = per_commit(cluster.context_switches);
  counters["driver_cpu_us"] = per_commit(driver.cpu_seconds) * 1e6;
}

}  // namespace

cli::BenchOptions LoadOptions(const SuiteOptions& suite, const BenchCluster& cluster, int clients) {
  cli::BenchOptions options;
  options.endpoint = cluster.writer();
  options.clients = clients;
  options.seconds = suite.seconds;
  options.warmup_seconds = suite.warmup_seconds;
  options.value_bytes = 100;  // as bench/load
  options.rows = suite.rows;
  // The same edits again would change nothing.
  options.seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  return options;
}

void SetLatency(const Histogram& latency_ns, benchmark::State* state) {
  const auto micros = [&](double fraction) {
    return static_cast<double>(latency_ns.Percentile(fraction)) / 1e3;
  };
  state->counters["mean_us"] = latency_ns.Mean() / 1e3;
  state->counters["p50_us"] = micros(0.5);
  state->counters["p99_us"] = micros(0.99);
  state->counters["p999_us"] = micros(0.999);
}

absl::Status MeasureLoad(const BenchCluster& cluster, cli::BenchOptions options, RunBench run,
                         benchmark::State* state,
                         const std::function<void(bool begins)>& on_measuring) {
  cli::TrafficMeter meter(cluster.Processes()), driver_meter({getpid()});
  cli::Traffic traffic, driver;
  absl::Status metered;
  const auto read = [&metered](const cli::TrafficMeter& from, cli::Traffic* to) {
    const auto traffic = from.Read();
    if (traffic.ok()) *to = *traffic;
    metered.Update(traffic.status());
  };
  options.on_measuring = [&](bool begins) {
    if (begins) {
      metered.Update(meter.Begin());
      metered.Update(driver_meter.Begin());
    } else {
      read(meter, &traffic);
      read(driver_meter, &driver);
    }
    if (on_measuring) on_measuring(begins);
  };
  ASSIGN_OR_RETURN(const cli::BenchReport report, run(options, [](const std::string&) {}));
  RETURN_IF_ERROR(metered);
  state->SetIterationTime(report.seconds);
  SetLatency(report.latency_ns, state);
  state->counters["per_second"] = static_cast<double>(report.commits) / report.seconds;
  state->counters["errors"] = static_cast<double>(report.errors);
  SetCosts(report, traffic, driver, state);
  return absl::OkStatus();
}

}  // namespace sextant::bench
