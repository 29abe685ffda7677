// Reads: rows and pages that the compute node has cached, and those that a segment must send.
#include <grpcpp/channel.h>

#include <chrono>
#include <variant>

#include "bench/cluster/measured_load.h"
#include "cli/bench/workload.h"
#include "client/session.h"
#include "common/base/prng.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::bench {
namespace {

using Clock = std::chrono::steady_clock;

const std::vector<int64_t> kClients = {1, 16};
// A table of some 30 MB, of which a small cache holds next to nothing.
constexpr uint64_t kManyRows = 200000;
const ClusterPlan kSmallCache = {.compute_flags = {"--page-cache", "1MiB"}};
constexpr uint64_t kFewPages = 16, kManyPages = 4000;

using Metrics = std::map<std::string, double>;

// Per operation, and how many requests a page took that was not cached.
void SetReadCosts(const Metrics& before, const Metrics& after, double operations,
                  benchmark::State* state) {
  const auto delta = [&](const char* name) {
    const auto was = before.find(name), is = after.find(name);
    return was == before.end() || is == after.end() ? 0 : is->second - was->second;
  };
  const double misses = delta("sextant_page_cache_misses_total");
  const double fetches = delta("sextant_page_fetches_total");
  state->counters["misses"] = misses / operations;
  state->counters["fetches"] = fetches / operations;
  state->counters["hedges"] = delta("sextant_page_fetch_hedges_total") / operations;
  // A hedge goes out beside the first request: it adds no round trip.
  const double requests =
      delta("sextant_page_fetch_requests_total") - delta("sextant_page_fetch_hedges_total");
  state->counters["round_trips"] = fetches > 0 ? requests / fetches : 0;
}

absl::Status SelectRows(const SuiteOptions& suite, const ClusterPlan& plan, uint64_t rows,
                        benchmark::State* state) {
  ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, plan));
  cli::BenchOptions options = LoadOptions(suite, *cluster, static_cast<int>(state->range(0)));
  options.workload = cli::Workload::kRead;
  options.rows = rows;
  absl::StatusOr<Metrics> before, after;
  RETURN_IF_ERROR(MeasureLoad(*cluster, options, cli::RunSqlBench, state, [&](bool begins) {
    (begins ? before : after) = cluster->WriterMetrics();
  }));
  RETURN_IF_ERROR(before.status());
  RETURN_IF_ERROR(after.status());
  SetReadCosts(*before, *after, state->counters["per_second"] * suite.seconds, state);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> AskNumber(client::Session* session, const std::string& sql) {
  ASSIGN_OR_RETURN(const client::Value value, session->QueryOne(sql));
  const int64_t* number = std::get_if<int64_t>(&value);
  return number != nullptr ? *number : absl::StatusOr<int64_t>(absl::InternalError("no number"));
}

absl::StatusOr<int64_t> PagesInUse(client::Session* session) {
  ASSIGN_OR_RETURN(const int64_t all, AskNumber(session, "PRAGMA page_count"));
  ASSIGN_OR_RETURN(const int64_t free, AskNumber(session, "PRAGMA freelist_count"));
  return all - free;
}

// Makes it once a cluster; how many pages it has.
absl::StatusOr<int64_t> MakeScanTable(client::Session* session) {
  static int64_t pages = 0;
  ASSIGN_OR_RETURN(
      const int64_t made,
      AskNumber(session, "SELECT count(*) FROM sqlite_schema WHERE name = 'bench_scan'"));
  if (made > 0) return pages;
  ASSIGN_OR_RETURN(const int64_t before, PagesInUse(session));
  client::Request request{.timeout = absl::Minutes(1)};
  request.statements.push_back({"CREATE TABLE bench_scan(id INTEGER PRIMARY KEY, value BLOB)"});
  for (std::string& fill : cli::FillStatements("bench_scan", "i, randomblob(100)", kManyRows)) {
    request.statements.push_back({std::move(fill)});
  }
  RETURN_IF_ERROR(session->Execute(std::move(request)).status());
  ASSIGN_OR_RETURN(const int64_t after, PagesInUse(session));
  pages = after - before;
  return pages;
}

// Runs `once` for the suite's time; its latencies and its reads become counters.
absl::Status Repeat(const SuiteOptions& suite, const BenchCluster& cluster,
                    const std::function<absl::Status()>& once, benchmark::State* state) {
  RETURN_IF_ERROR(once());
  ASSIGN_OR_RETURN(const Metrics before, cluster.WriterMetrics());
  Histogram latency_ns;
  const auto begin = Clock::now();
  auto now = begin;
  while (now - begin < std::chrono::duration<double>(suite.seconds)) {
    RETURN_IF_ERROR(once());
    const auto then = std::exchange(now, Clock::now());
    latency_ns.Record(static_cast<uint64_t>((now - then).count()));
  }
  const double seconds = std::chrono::duration<double>(now - begin).count();
  ASSIGN_OR_RETURN(const Metrics after, cluster.WriterMetrics());
  state->SetIterationTime(seconds);
  SetLatency(latency_ns, state);
  const auto operations = static_cast<double>(latency_ns.count());
  state->counters["per_second"] = operations / seconds;
  SetReadCosts(before, after, operations, state);
  return absl::OkStatus();
}

// The whole table, in the order of its pages.
absl::Status Scan(const SuiteOptions& suite, benchmark::State* state) {
  ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, kSmallCache));
  const auto session = client::Client({cluster->writer()}).NewSession();
  ASSIGN_OR_RETURN(const int64_t pages, MakeScanTable(session.get()));
  const auto scan = [&] {
    return session->QueryOne("SELECT sum(length(value)) FROM bench_scan").status();
  };
  RETURN_IF_ERROR(Repeat(suite, *cluster, scan, state));
  state->counters["us_per_page"] = state->counters["mean_us"] / static_cast<double>(pages);
  return absl::OkStatus();
}

// Pages one by one, through VolumeService.
absl::Status ReadPages(const SuiteOptions& suite, uint64_t pages, benchmark::State* state) {
  ASSIGN_OR_RETURN(BenchCluster* const cluster, BenchCluster::Get(suite.dir, kSmallCache));
  RETURN_IF_ERROR(MakeScanTable(client::Client({cluster->writer()}).NewSession().get()).status());
  v1::VolumeService::Stub stub(rpc::MakeChannel(cluster->writer()));
  Prng prng(static_cast<uint64_t>(Clock::now().time_since_epoch().count()));
  const auto read = [&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::ReadPageRequest request;
    request.set_page(1 + prng.Below(pages));
    v1::ReadPageResponse response;
    return rpc::FromGrpc(stub.ReadPage(&context, request, &response), cluster->writer());
  };
  return Repeat(suite, *cluster, read, state);
}

}  // namespace

void RegisterReads(const SuiteOptions& suite) {
  Register("read/row/cached", "clients", kClients,
           [=](benchmark::State& state) { return SelectRows(suite, {}, suite.rows, &state); });
  Register("read/row/missing", "clients", kClients, [=](benchmark::State& state) {
    return SelectRows(suite, kSmallCache, kManyRows, &state);
  });
  Register("read/scan", "clients", {1},
           [=](benchmark::State& state) { return Scan(suite, &state); });
  Register("read/page/cached", "clients", {1},
           [=](benchmark::State& state) { return ReadPages(suite, kFewPages, &state); });
  Register("read/page/missing", "clients", {1},
           [=](benchmark::State& state) { return ReadPages(suite, kManyPages, &state); });
}

}  // namespace sextant::bench
