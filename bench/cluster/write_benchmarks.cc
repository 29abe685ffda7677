// Writes: records appended to the log service, transactions of SQL, and the same on the traditional
// path; and with members dead or slow.
#include "bench/cluster/measured_load.h"
#include "cli/compare/compare.h"
#include "cli/compare/lag_sampler.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

constexpr uint32_t kRecordBytes = 256;  // as bench/floor
const std::vector<int64_t> kClients = {1, 16, 64, 256};
const std::vector<int64_t> kFewOrMany = {1, 64};
constexpr uint32_t kReplicas = 5;  // and the source: six copies
constexpr uint32_t kAcks = 3;      // and the source: 4 of 6

absl::Status Append(const SuiteOptions& suite, const BenchCluster& cluster,
                    benchmark::State* state) {
  cli::BenchOptions options = LoadOptions(suite, cluster, static_cast<int>(state->range(0)));
  options.value_bytes = kRecordBytes;
  return MeasureLoad(cluster, options, cli::RunLogBench, state);
}

absl::Status Sql(const SuiteOptions& suite, const BenchCluster& cluster, cli::Workload workload,
                 benchmark::State* state) {
  cli::BenchOptions options = LoadOptions(suite, cluster, static_cast<int>(state->range(0)));
  options.workload = workload;
  return MeasureLoad(cluster, options, cli::RunSqlBench, state);
}

// The traditional path: a source, and replicas that acknowledge once their relay log is synced.
absl::Status Binlog(const SuiteOptions& suite, benchmark::State* state) {
  ASSIGN_OR_RETURN(
      BenchCluster* const cluster,
      BenchCluster::Get(suite.dir, {.binlog_replicas = kReplicas, .semi_sync_acks = kAcks}));
  std::unique_ptr<cli::LagSampler> sampler;
  cli::LagSummary lag;
  const auto sample = [&](bool begins) {
    if (begins) {
      sampler = std::make_unique<cli::LagSampler>(cluster->followers());
    } else {
      lag = sampler->Stop();
    }
  };
  RETURN_IF_ERROR(MeasureLoad(*cluster,
                              LoadOptions(suite, *cluster, static_cast<int>(state->range(0))),
                              cli::RunSqlBench, state, sample));
  state->counters["lag_p50_ms"] = lag.Percentile(0.5);
  state->counters["lag_p99_ms"] = lag.Percentile(0.99);
  return absl::OkStatus();
}

struct Condition {
  Members members;
  const char* name;
};
constexpr Condition kConditions[] = {
    {Members::kWhole, "whole"},
    {Members::kOneDead, "one-dead"},
    {Members::kZoneDead, "zone-dead"},
    {Members::kOneSlow, "one-slow"},
};

using Load = absl::Status (*)(const SuiteOptions&, const BenchCluster&, benchmark::State*);

void RegisterCondition(const SuiteOptions& suite, const Condition& condition, const char* name,
                       Load load) {
  Register(Text("members/", condition.name, "/", name), "clients", kFewOrMany,
           [=](benchmark::State& state) -> absl::Status {
             ASSIGN_OR_RETURN(BenchCluster* const cluster,
                              BenchCluster::Get(suite.dir, {.members = condition.members}));
             return load(suite, *cluster, &state);
           });
}

absl::Status Upsert(const SuiteOptions& suite, const BenchCluster& cluster,
                    benchmark::State* state) {
  return Sql(suite, cluster, cli::Workload::kUpsert, state);
}

}  // namespace

void RegisterWrites(const SuiteOptions& suite) {
  Register("append", "clients", kClients, [=](benchmark::State& state) -> absl::Status {
    ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, {}));
    return Append(suite, *cluster, &state);
  });
  for (const cli::Workload workload :
       {cli::Workload::kUpsert, cli::Workload::kInsert, cli::Workload::kIndexedUpdate,
        cli::Workload::kMix, cli::Workload::kBatch}) {
    Register(Text("sql/", std::string(cli::NameOf(workload))), "clients", kClients,
             [=](benchmark::State& state) -> absl::Status {
               ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, {}));
               return Sql(suite, *cluster, workload, &state);
             });
  }
  Register("binlog/upsert", "clients", kClients,
           [=](benchmark::State& state) { return Binlog(suite, &state); });
}

void RegisterMembers(const SuiteOptions& suite) {
  for (const Condition& condition : kConditions) {
    RegisterCondition(suite, condition, "append", Append);
    RegisterCondition(suite, condition, "upsert", Upsert);
  }
}

}  // namespace sextant::bench
