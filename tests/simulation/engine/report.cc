// See report.h.
#include "tests/simulation/engine/report.h"

#include "common/base/text.h"

namespace sextant::simulation {
namespace {

constexpr std::array<std::string_view, kFaults> kFaultNames = {
    "messages lost",      "messages duplicated",
    "messages damaged",   "streams reset",
    "partitions",         "nodes killed",
    "power losses",       "nodes paused",
    "writers killed",     "writers killed in recovery",
    "writers paused",     "rivals started",
    "writes failed",      "syncs failed",
    "disks full",         "disks limping",
    "writes torn",        "log suffixes lost",
    "log middles lost",   "bits flipped",
    "writes misdirected", "pages damaged",
    "page writes lost",   "disks lost",
    "readers killed",     "readers paused",
    "readers promoted",
};

constexpr std::array<std::string_view, kRares> kRareNames = {
    "recovery found a record on exactly one of its read quorum",
    "recovery wrote a tail back",
    "recovery annulled records",
    "recovery annulled part of a mini-transaction",
    "a late write was refused by its epoch",
    "a late record met the truncation that annuls it",
    "killed while discovering",
    "killed while fencing",
    "killed while reading the tail",
    "killed while writing back",
    "killed while truncating",
    "two claimed the same epoch",
    "recovery found a truncation that was never finished",
    "a fenced writer woke",
    "a commit of unknown outcome survived",
    "a commit of unknown outcome was annulled",
    "a node found damage at its start",
    "damage was healed by peers",
    "a claim was answered by a damaged member",
    "a loss was reported",
    "gossip filled a hole",
    "a member fell behind what the writer keeps",
    "a claim found no room",
    "commits went on with a zone down",
    "a page was read with no write quorum up",
    "a page was read from a stored version alone",
    "a page was read at an old read point",
    "a founding was interrupted",
    "a writer was asked for the newest when it had been succeeded",
    "a proof failed: the writer was succeeded",
    "a proof failed: too few members answered in time",
    "log collected",
    "killed with page versions made and the log not dropped yet",
    "killed with the log dropped and older page versions still there",
    "a round of collection met damage",
    "a read was overtaken by a round of collection",
    "a read met a damaged page version that the log cannot replace",
    "log was asked for that is collected",
    "a rebuild from peers' pages began",
    "a rebuild from peers' pages ended",
    "a page version that was written was not there when read back",
    "damage of the log found while running",
    "a page version repaired from the own log",
    "a page version repaired from a peer",
    "a reader jumped",
    "a reader went over to a new writer",
    "a reader left a writer that had been succeeded",
    "a reader read below what it shows",
    "redo was applied to a page that a reader had cached",
    "redo without its bytes took a page out of a reader's cache",
    "a writer's cache answered",
    "a commit was acknowledged while members changed",
    "two changes of a group's members were in effect at once",
    "a change of members was finished",
    "a change of members was undone",
    "a change was undone while hydrating",
    "recovery met a change of members",
    "a writer died in a change of members",
    "a segment that counted no more was dropped",
    "a member that had lost its disk was replaced",
    "a candidate lost its disk",
    "the volume grew by a group",
    "a commit waited for the volume to grow",
    "a commit lay beyond the largest size of the volume",
    "a commit in an added group was acknowledged",
    "a writer died while the volume grew",
    "recovery took over a growth that was not finished",
    "groups lacked different members in the evening",
    "what was durable was whole on two members of a group only",
};

template <typename Names, typename Counts>
std::string List(const Names& names, const Counts& counts) {
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    text += Text(text.empty() ? "" : ", ", counts[i], " ", names[i]);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string_view Name(Fault fault) { return kFaultNames[static_cast<size_t>(fault)]; }
std::string_view Name(Rare rare) { return kRareNames[static_cast<size_t>(rare)]; }

void Report::Add(const Report& other) {
  for (size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
  for (size_t i = 0; i < kRares; ++i) rares[i] += other.rares[i];
  seeds += other.seeds;
  events += other.events;
  simulated_nanos += other.simulated_nanos;
  commits_acked += other.commits_acked;
  commits_unknown += other.commits_unknown;
  reads += other.reads;
  proven_reads += other.proven_reads;
  recoveries += other.recoveries;
  beyond_budget += other.beyond_budget;
  trace_hash += other.trace_hash;
  if (violation.empty()) violation = other.violation;
}

std::string Summary(const Report& report) {
  std::string rares;
  for (size_t i = 0; i < kRares; ++i) {
    if (report.rares[i] > 0) rares += Text("\n    ", report.rares[i], " x ", kRareNames[i]);
  }
  return Text("seeds ", report.seeds, " (", report.beyond_budget,
              " beyond the fault budget), events ", report.events, ", simulated seconds ",
              report.simulated_nanos / 1'000'000'000, ", commits acknowledged ",
              report.commits_acked, ", unknown ", report.commits_unknown, ", page reads ",
              report.reads, ", proven reads ", report.proven_reads, ", recoveries ",
              report.recoveries, ", trace ", report.trace_hash,
              "\n  faults: ", List(kFaultNames, report.faults),
              "\n  rare situations:", rares.empty() ? " none" : rares);
}

std::string NeverMet(const Report& report) {
  std::string text;
  for (size_t i = 0; i < kRares; ++i) {
    // That an evening could not be judged in full is told, not wanted.
    if (i == static_cast<size_t>(Rare::kTooFewForDrill)) continue;
    if (report.rares[i] == 0) text += Text(text.empty() ? "" : "; ", kRareNames[i]);
  }
  return text;
}

}  // namespace sextant::simulation
