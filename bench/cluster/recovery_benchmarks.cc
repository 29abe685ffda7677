// Recovery: kill -9 of the writer, with so much redo in the log, until it serves again.
#include <algorithm>

#include "bench/cluster/measured_load.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

constexpr int kClients = 64;
constexpr uint32_t kValueBytes = 3000;  // large records: it is the bytes that are wanted
constexpr int kRestarts = 3;
constexpr double kStepSeconds = 1;
constexpr int kMaxSteps = 200;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Redo since the cluster was made, of one copy; the writer's own count begins anew with each start.
uint64_t written_bytes = 0;

absl::Status FillLog(const SuiteOptions& suite, const BenchCluster& cluster, uint64_t bytes) {
  cli::BenchOptions options = LoadOptions(suite, cluster, kClients);
  options.value_bytes = kValueBytes;
  options.warmup_seconds = 0;
  options.seconds = kStepSeconds;
  options.pages = 16384;
  for (int step = 0; written_bytes < bytes; ++step) {
    if (step == kMaxSteps) {
      return absl::DeadlineExceededError(Text("the log has ", written_bytes >> 20, " of ",
                                              bytes >> 20, " MiB after ", kMaxSteps * kStepSeconds,
                                              " s"));
    }
    ++options.seed;
    ASSIGN_OR_RETURN(const cli::BenchReport report,
                     cli::RunLogBench(options, [](const std::string&) {}));
    if (!report.has_counters) return absl::UnavailableError("the writer does not answer");
    written_bytes += report.after.redo_bytes() - report.before.redo_bytes();
  }
  return absl::OkStatus();
}

absl::Status Recover(const SuiteOptions& suite, benchmark::State* state) {
  // Without upkeep nothing is collected, so the log is as long as what was written.
  const ClusterPlan plan = {.storage_flags = {"--upkeep", "false"}};
  ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, plan));
  static const BenchCluster* filled = nullptr;
  if (filled != cluster) written_bytes = 0;
  filled = cluster;
  RETURN_IF_ERROR(FillLog(suite, *cluster, static_cast<uint64_t>(state->range(0)) << 20));
  std::vector<double> recovery_ms, serving_ms;
  for (int i = 0; i < kRestarts; ++i) {
    ASSIGN_OR_RETURN(const absl::Duration serving, cluster->RestartWriter());
    ASSIGN_OR_RETURN(const v1::ComputeStatus status, cluster->WriterStatus());
    serving_ms.push_back(absl::ToDoubleMilliseconds(serving));
    recovery_ms.push_back(status.recovery_seconds() * 1e3);
  }
  state->SetIterationTime(Median(recovery_ms) / 1e3);
  auto& counters = state->counters;
  counters["log_MiB"] = static_cast<double>(written_bytes) / (1 << 20);
  counters["recovery_ms"] = Median(recovery_ms);
  counters["recovery_max_ms"] = *std::max_element(recovery_ms.begin(), recovery_ms.end());
  counters["serving_ms"] = Median(serving_ms);
  return absl::OkStatus();
}

}  // namespace

void RegisterRecovery(const SuiteOptions& suite) {
  Register("recovery", "MiB", {16, 128, 1024},
           [=](benchmark::State& state) { return Recover(suite, &state); });
}

}  // namespace sextant::bench
