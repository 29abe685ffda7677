// The comparison as a table and as JSON. Only what was measured.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/compare/compare.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

double Microseconds(const PathReport& path, double fraction) {
  return static_cast<double>(path.load.latency_ns.Percentile(fraction)) / 1e3;
}

double PerCommit(const PathReport& path, uint64_t count) {
  return static_cast<double>(count) / static_cast<double>(std::max<uint64_t>(path.load.commits, 1));
}

double CommitsPerSecond(const PathReport& path) {
  return static_cast<double>(path.load.commits) / std::max(path.load.seconds, 1e-9);
}

std::string Range(const std::vector<double>& values) {
  if (values.empty()) return "not measured";
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return absl::StrFormat("%.0f to %.0f", *least, *most);
}

std::string Lag(const PathReport& path, double fraction) {
  return path.lag.samples_ms.empty() ? "unknown"
                                     : absl::StrFormat("%.1f", path.lag.Percentile(fraction));
}

using Cell = std::function<std::string(const PathReport&)>;
struct Line {
  std::string name;
  Cell cell;
};

std::vector<Line> Lines() {
  const auto number = [](const char* format, auto value) {
    return [format, value](const PathReport& path) {
      return format[2] == '1' ? absl::StrFormat("%.1f", value(path))
                              : absl::StrFormat("%.0f", value(path));
    };
  };
  return {
      {"commit p50, us", number("%.0f", [](auto& p) { return Microseconds(p, 0.5); })},
      {"commit p99, us", number("%.0f", [](auto& p) { return Microseconds(p, 0.99); })},
      {"commits/s", number("%.0f", [](auto& p) { return CommitsPerSecond(p); })},
      {"network bytes a commit",
       number("%.0f", [](auto& p) { return PerCommit(p, p.traffic.network_bytes); })},
      {"network writes a commit",
       number("%.1f", [](auto& p) { return PerCommit(p, p.traffic.network_writes); })},
      {"disk bytes a commit",
       number("%.0f", [](auto& p) { return PerCommit(p, p.traffic.disk_bytes); })},
      {"follower lag p50, ms", [](const PathReport& p) { return Lag(p, 0.5); }},
      {"follower lag p99, ms", [](const PathReport& p) { return Lag(p, 0.99); }},
      {"kill -9 and restart, ms", [](const PathReport& p) { return Range(p.restart_ms); }},
      {"kill -9 and promotion, ms", [](const PathReport& p) { return Range(p.failover_ms); }},
      {"answered commits lost",
       [](const PathReport& p) { return Text(p.lost, " of ", p.answered); }},
  };
}

}  // namespace

std::string CompareToText(const std::vector<PathReport>& reports) {
  std::string text = absl::StrFormat("%-27s", "");
  for (const PathReport& path : reports) text += absl::StrFormat("%16s", path.name);
  text += "\n";
  for (const Line& line : Lines()) {
    text += absl::StrFormat("%-27s", line.name);
    for (const PathReport& path : reports) text += absl::StrFormat("%16s", line.cell(path));
    text += "\n";
  }
  for (const PathReport& path : reports) {
    text += absl::StrFormat("%s: %s\n", path.name, path.what);
  }
  return text +
         "Network: payload that the cluster's processes sent each other, and TCP segments that "
         "carried it (TCP_INFO).\n"
         "Disk: write_bytes of their /proc/PID/io. Recovery: until a client's next commit is "
         "answered.\n";
}

std::string CompareToJson(const CompareOptions& options, const std::vector<PathReport>& reports) {
  using Json = nlohmann::ordered_json;
  Json paths = Json::array();
  for (const PathReport& path : reports) {
    Json lag = nullptr;
    if (!path.lag.samples_ms.empty()) {
      lag = {{"p50", path.lag.Percentile(0.5)},
             {"p99", path.lag.Percentile(0.99)},
             {"max", path.lag.samples_ms.back()},
             {"samples", path.lag.samples_ms.size()},
             {"unknown", path.lag.unknown}};
    }
    paths.push_back({{"path", path.name},
                     {"nodes", path.what},
                     {"commits", path.load.commits},
                     {"seconds", path.load.seconds},
                     {"errors", path.load.errors},
                     {"commits_per_second", CommitsPerSecond(path)},
                     {"commit_p50_us", Microseconds(path, 0.5)},
                     {"commit_p99_us", Microseconds(path, 0.99)},
                     {"network_bytes_per_commit", PerCommit(path, path.traffic.network_bytes)},
                     {"network_writes_per_commit", PerCommit(path, path.traffic.network_writes)},
                     {"disk_bytes_per_commit", PerCommit(path, path.traffic.disk_bytes)},
                     {"follower_lag_ms", std::move(lag)},
                     {"restart_ms", path.restart_ms},
                     {"failover_ms", path.failover_ms},
                     {"answered_before_failover", path.answered},
                     {"lost_at_failover", path.lost}});
  }
  const Json json = {{"compare",
                      {{"clients", options.load.clients},
                       {"seconds", options.load.seconds},
                       {"warmup_seconds", options.load.warmup_seconds},
                       {"rows", options.load.rows},
                       {"value_bytes", options.load.value_bytes},
                       {"seed", options.load.seed},
                       {"followers", options.followers},
                       {"semi_sync_acks", options.semi_sync_acks},
                       {"failures", options.failures}}},
                     {"paths", std::move(paths)}};
  return json.dump(2) + "\n";
}

}  // namespace sextant::cli
