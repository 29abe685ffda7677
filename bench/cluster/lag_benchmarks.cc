// Readers: how long after its commit a write becomes visible, against the rate of writes.
#include "bench/cluster/measured_load.h"
#include "cli/client/status_client.h"
#include "common/base/status.h"

namespace sextant::bench {
namespace {

constexpr int kClients = 64;

absl::Status Lag(const SuiteOptions& suite, benchmark::State* state) {
  ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, {.readers = 1}));
  cli::BenchOptions options = LoadOptions(suite, *cluster, kClients);
  options.rate = static_cast<double>(state->range(0));
  options.seconds = suite.lag_seconds;
  absl::StatusOr<v1::ComputeStatus> before, after;
  const auto ask = [&](bool begins) {
    (begins ? before : after) = cli::AskComputeNodes(cluster->followers())[0];
  };
  RETURN_IF_ERROR(MeasureLoad(*cluster, options, cli::RunSqlBench, state, ask));
  RETURN_IF_ERROR(before.status());
  RETURN_IF_ERROR(after.status());
  const v1::ReaderProgress& reader = after->reader();
  if (!reader.has_lag_p99_ms()) return absl::UnavailableError("the reader does not know its lag");
  auto& counters = state->counters;
  counters["lag_p50_ms"] = reader.lag_p50_ms();
  counters["lag_p99_ms"] = reader.lag_p99_ms();
  counters["lag_max_ms"] = reader.lag_max_ms();
  counters["jumps"] = static_cast<double>(reader.jumps() - before->reader().jumps());
  return absl::OkStatus();
}

}  // namespace

void RegisterLag(const SuiteOptions& suite) {
  // 0: as fast as it goes.
  Register("lag", "rate", {100, 1000, 0},
           [=](benchmark::State& state) { return Lag(suite, &state); });
}

}  // namespace sextant::bench
