// A report as JSON and as text. Only what was measured.
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/bench/bench.h"
#include "common/base/text.h"
#include "common/quorum/quorum.h"

namespace sextant::cli {
namespace {

double Microseconds(const BenchReport& report, double fraction) {
  return static_cast<double>(report.latency_ns.Percentile(fraction)) / 1e3;
}

}  // namespace

CommitCosts CostsOf(const BenchReport& report) {
  CommitCosts costs;
  if (!report.has_counters) return costs;
  const auto delta = [&report](auto field) {
    return static_cast<double>((report.after.*field)() - (report.before.*field)());
  };
  using S = v1::ComputeStatus;
  const double commits = delta(&S::commits);
  costs.commits = static_cast<uint64_t>(commits);
  if (commits == 0) return costs;
  costs.redo_bytes = delta(&S::redo_bytes) / commits;
  costs.records = delta(&S::redo_records) / commits;
  costs.sends_per_copy = delta(&S::sends) / commits / quorum::kMembers;
  costs.batches = delta(&S::batches) / commits;
  costs.sent_bytes = delta(&S::sent_bytes) / commits;
  return costs;
}

std::string ReportToJson(const BenchReport& report) {
  using Json = nlohmann::ordered_json;
  const BenchOptions& options = report.options;
  Json json = {{"bench", report.name},
               {"endpoint", options.endpoint},
               {"clients", options.clients},
               {"streams", options.streams},
               {"value_bytes", options.value_bytes},
               {"rate", options.rate},
               {"seed", options.seed},
               {"warmup_seconds", options.warmup_seconds},
               {"seconds", report.seconds},
               {report.unit, report.commits},
               {report.unit + "_per_second", static_cast<double>(report.commits) / report.seconds},
               {"errors", report.errors},
               {"first_error", report.first_error}};
  json["latency_us"] = {{"mean", report.latency_ns.Mean() / 1e3},
                        {"p50", Microseconds(report, 0.5)},
                        {"p90", Microseconds(report, 0.9)},
                        {"p99", Microseconds(report, 0.99)},
                        {"p999", Microseconds(report, 0.999)},
                        {"max", static_cast<double>(report.latency_ns.max()) / 1e3}};
  if (report.name == "sql") json["workload"] = NameOf(options.workload);
  json["server"] = nullptr;
  if (report.has_counters) {
    const CommitCosts costs = CostsOf(report);
    json["server"] = {{"commits", costs.commits},
                      {"redo_records_per_commit", costs.records},
                      {"redo_bytes_per_commit", costs.redo_bytes},
                      {"batches_per_commit", costs.batches},
                      {"network_writes_per_commit_and_copy", costs.sends_per_copy},
                      {"sent_bytes_per_commit", costs.sent_bytes}};
  }
  return json.dump(2) + "\n";
}

std::string ReportToText(const BenchReport& report) {
  std::string text = absl::StrFormat(
      "%s: %d clients, %.1f s, %d %s, %.0f %s/s, %d errors\n"
      "latency (us)  mean %.0f  p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f\n",
      report.name, report.options.clients, report.seconds, report.commits, report.unit,
      static_cast<double>(report.commits) / report.seconds, report.unit, report.errors,
      report.latency_ns.Mean() / 1e3, Microseconds(report, 0.5), Microseconds(report, 0.9),
      Microseconds(report, 0.99), Microseconds(report, 0.999),
      static_cast<double>(report.latency_ns.max()) / 1e3);
  if (report.has_counters && report.options.workload != Workload::kRead) {
    const CommitCosts costs = CostsOf(report);
    text += absl::StrFormat(
        "per commit    %.0f B of redo (one copy)  %.2f records  %.3f network writes a copy  %.3f "
        "batches\n",
        costs.redo_bytes, costs.records, costs.sends_per_copy, costs.batches);
  }
  if (!report.first_error.empty()) text += Text("first error   ", report.first_error, "\n");
  return text;
}

}  // namespace sextant::cli
