// A report as JSON and as text. Only what was measured.
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/bench/bench.h"
#include "common/base/text.h"
#include "common/quorum/quorum.h"

namespace sextant::cli {
namespace {

struct Ratios {
  uint64_t commits = 0;  // by the compute node's own count
  double redo_bytes = 0, records = 0, sends_per_copy = 0, batches = 0, sent_bytes = 0;
};

Ratios RatiosOf(const BenchReport& report) {
  const auto delta = [&report](auto field) {
    return static_cast<double>((report.after.*field)() - (report.before.*field)());
  };
  using S = v1::ComputeStatus;
  Ratios ratios;
  const double commits = delta(&S::commits);
  ratios.commits = static_cast<uint64_t>(commits);
  if (commits == 0) return ratios;
  ratios.redo_bytes = delta(&S::redo_bytes) / commits;
  ratios.records = delta(&S::redo_records) / commits;
  ratios.sends_per_copy = delta(&S::sends) / commits / quorum::kMembers;
  ratios.batches = delta(&S::batches) / commits;
  ratios.sent_bytes = delta(&S::sent_bytes) / commits;
  return ratios;
}

double Microseconds(const BenchReport& report, double fraction) {
  return static_cast<double>(report.latency_ns.Percentile(fraction)) / 1e3;
}

}  // namespace

std::string ReportToJson(const BenchReport& report) {
  using Json = nlohmann::ordered_json;
  const BenchOptions& options = report.options;
  Json json = {{"bench", report.name},
               {"endpoint", options.endpoint},
               {"clients", options.clients},
               {"streams", options.streams},
               {"value_bytes", options.value_bytes},
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
  json["server"] = nullptr;
  if (report.has_counters) {
    const Ratios ratios = RatiosOf(report);
    json["server"] = {{"commits", ratios.commits},
                      {"redo_records_per_commit", ratios.records},
                      {"redo_bytes_per_commit", ratios.redo_bytes},
                      {"batches_per_commit", ratios.batches},
                      {"network_writes_per_commit_and_copy", ratios.sends_per_copy},
                      {"sent_bytes_per_commit", ratios.sent_bytes}};
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
  if (report.has_counters && !report.options.is_read) {
    const Ratios ratios = RatiosOf(report);
    text += absl::StrFormat(
        "per commit    %.0f B of redo (one copy)  %.2f records  %.3f network writes a copy  %.3f "
        "batches\n",
        ratios.redo_bytes, ratios.records, ratios.sends_per_copy, ratios.batches);
  }
  if (!report.first_error.empty()) text += Text("first error   ", report.first_error, "\n");
  return text;
}

}  // namespace sextant::cli
