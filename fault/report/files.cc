// JSON lines and CSV. See files.h.
#include "fault/report/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::fault {
namespace {

using Json = nlohmann::ordered_json;

std::string_view NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kAborted:
      return "aborted";
    case Outcome::kUnknown:
      return "unknown";
  }
  return "?";
}

double Millis(Nanos nanos) { return static_cast<double>(nanos) * 1e-6; }

Json TimeOf(Nanos at, Nanos began) {
  return at == kNever ? Json(nullptr) : Json(static_cast<double>(at - began) * 1e-9);
}

Json ToJson(const ListTransaction& transaction, Nanos began) {
  Json ops = Json::array();
  for (const ListOp& op : transaction.ops) {
    ops.push_back(op.appended ? Json::array({"append", op.key, *op.appended})
                              : Json::array({"read", op.key, op.list}));
  }
  return {{"kind", "lists"},
          {"session", transaction.session},
          {"node", transaction.node},
          {"invoked", TimeOf(transaction.invoked, began)},
          {"completed", TimeOf(transaction.completed, began)},
          {"outcome", NameOf(transaction.outcome)},
          {"strict", transaction.is_strict},
          {"lsn", transaction.lsn.value()},
          {"ops", std::move(ops)}};
}

Json ToJson(const RegisterOp& op, Nanos began) {
  return {{"kind", op.is_write ? "write" : "read"},
          {"key", op.key},
          {"value", op.value},
          {"invoked", TimeOf(op.invoked, began)},
          {"completed", TimeOf(op.completed, began)}};
}

Json ToJson(const BankTotal& seen, Nanos began) {
  return {{"kind", "total"},
          {"node", seen.node},
          {"total", seen.total},
          {"invoked", TimeOf(seen.invoked, began)},
          {"completed", TimeOf(seen.completed, began)}};
}

Json ToJson(const Phase& phase) {
  return {{"seconds", phase.seconds},
          {"commits", phase.commits},
          {"commits_per_second", phase.commits_per_second()},
          {"commit_p50_ms", Millis(phase.p50)},
          {"commit_p99_ms", Millis(phase.p99)},
          {"reads", phase.reads},
          {"aborted", phase.aborted},
          {"unknown", phase.unknown}};
}

Json ToJson(const Round& round) {
  Json anomalies = Json::array();
  for (const Anomaly& anomaly : round.anomalies) {
    anomalies.push_back({{"kind", anomaly.kind}, {"detail", anomaly.detail}});
  }
  return {{"round", round.number},           {"seed", round.seed},
          {"faults", round.faults},          {"before", ToJson(round.before)},
          {"during", ToJson(round.during)},  {"after", ToJson(round.after)},
          {"stall_ms", Millis(round.stall)}, {"anomalies", std::move(anomalies)}};
}

absl::Status Write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(Text("cannot write ", path, ": ", std::strerror(errno)));
}

std::string HistoryLines(const LoadRecord& record, Nanos began) {
  std::string lines;
  const auto add = [&](const auto& entries) {
    for (const auto& entry : entries) lines += ToJson(entry, began).dump() + "\n";
  };
  add(record.lists);
  add(record.registers);
  add(record.totals);
  return lines;
}

std::string JournalLines(const Round& round) {
  std::string lines;
  for (const JournalEntry& entry : round.journal) {
    lines += Json{{"round", round.number},
                  {"began", TimeOf(entry.began, round.began)},
                  {"ended", TimeOf(entry.ended, round.began)},
                  {"does", entry.is_mend ? "mend" : "inflict"},
                  {"what", entry.what}}
                 .dump() +
             "\n";
  }
  return lines;
}

std::string TimelineCsv(const std::vector<TimePoint>& timeline) {
  std::string text = "seconds,commits,p50_ms,p99_ms,reads,aborted,unknown\n";
  for (const TimePoint& point : timeline) {
    text += absl::StrFormat("%.1f,%d,%.3f,%.3f,%d,%d,%d\n", point.seconds, point.commits,
                            Millis(point.p50), Millis(point.p99), point.reads, point.aborted,
                            point.unknown);
  }
  return text;
}

Nanos StallAt(const std::vector<Round>& rounds, double fraction) {
  std::vector<Nanos> stalls;
  for (const Round& round : rounds) stalls.push_back(round.stall);
  if (stalls.empty()) return 0;
  std::sort(stalls.begin(), stalls.end());
  const auto at = static_cast<size_t>(fraction * static_cast<double>(stalls.size()));
  return stalls[std::min(at, stalls.size() - 1)];
}

struct Totals {
  int faults = 0, explained = 0;
  int64_t commits = 0, reads = 0, aborted = 0, unknown = 0;
};
Totals TotalsOf(const std::vector<Round>& rounds) {
  Totals totals;
  for (const Round& round : rounds) {
    totals.faults += round.faults;
    totals.explained += round.is_explained() ? 1 : 0;
    for (const Phase* phase : {&round.before, &round.during, &round.after}) {
      totals.commits += phase->commits;
      totals.reads += phase->reads;
      totals.aborted += phase->aborted;
      totals.unknown += phase->unknown;
    }
  }
  return totals;
}

std::string Line(const char* name, const Phase& phase) {
  return absl::StrFormat("  %-7s %5.1f s  %7.0f commits/s  p50 %8.2f ms  p99 %8.2f ms  %7d reads\n",
                         name, phase.seconds, phase.commits_per_second(), Millis(phase.p50),
                         Millis(phase.p99), phase.reads);
}

}  // namespace

absl::Status WriteRound(const std::string& folder, const std::string& scenario, const Round& round,
                        const LoadRecord& record) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(Text("cannot make ", folder, ": ", error.message()));
  RETURN_IF_ERROR(Write(folder + "/history.jsonl", HistoryLines(record, round.began)));
  return Write(folder + "/timeline.csv", TimelineCsv(TimelineOf(record.samples, round)));
}

absl::Status WriteResult(const std::string& folder, const RunFacts& facts,
                         const std::vector<Round>& rounds) {
  const Totals totals = TotalsOf(rounds);
  Json list = Json::array();
  for (const Round& round : rounds) list.push_back(ToJson(round));
  const bool is_explained =
      facts.error.empty() && totals.explained == static_cast<int>(rounds.size());
  const Json json = {{"scenario", facts.scenario},
                     {"seed", facts.seed},
                     {"clients", facts.clients},
                     {"verdict", is_explained ? "explained" : "not explained"},
                     {"error", facts.error},
                     {"rounds_wanted", facts.rounds_wanted},
                     {"rounds_played", rounds.size()},
                     {"rounds_explained", totals.explained},
                     {"faults", totals.faults},
                     {"commits", totals.commits},
                     {"reads", totals.reads},
                     {"aborted", totals.aborted},
                     {"unknown", totals.unknown},
                     {"stall_p50_ms", Millis(StallAt(rounds, 0.5))},
                     {"stall_p99_ms", Millis(StallAt(rounds, 0.99))},
                     {"rounds", std::move(list)}};
  std::string journal;
  for (const Round& round : rounds) journal += JournalLines(round);
  RETURN_IF_ERROR(Write(folder + "/journal.jsonl", journal));
  return Write(folder + "/result.json", json.dump(2) + "\n");
}

std::string Summary(const RunFacts& facts, const std::vector<Round>& rounds) {
  const Totals totals = TotalsOf(rounds);
  std::string text;
  if (rounds.size() == 1) {
    text += Line("before", rounds[0].before) + Line("during", rounds[0].during) +
            Line("after", rounds[0].after);
  }
  text +=
      absl::StrFormat("  longest time without a commit: p50 %.0f ms, p99 %.0f ms (n = %d)\n",
                      Millis(StallAt(rounds, 0.5)), Millis(StallAt(rounds, 0.99)), rounds.size());
  text +=
      absl::StrFormat("  %d commits, %d reads, %d aborted, %d of unknown outcome; %d faults\n",
                      totals.commits, totals.reads, totals.aborted, totals.unknown, totals.faults);
  for (const Round& round : rounds) {
    for (const Anomaly& anomaly : round.anomalies) {
      text += Text("  round ", round.number, " (seed ", round.seed, "): ", anomaly.kind, ": ",
                   anomaly.detail, "\n");
    }
  }
  if (!facts.error.empty()) text += Text("  ended early: ", facts.error, "\n");
  const bool is_good = facts.error.empty() && totals.explained == static_cast<int>(rounds.size());
  text += Text("verdict: ", is_good ? "everything is explained" : "NOT EXPLAINED", ", ",
               totals.explained, " of ", rounds.size(), " rounds of ", facts.scenario, "\n");
  return text;
}

}  // namespace sextant::fault
