// The files of a run: history.jsonl, journal.jsonl, timeline.csv, result.json, plot.svg
// (docs/OPERATIONS.md, "Fault injection").
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fault/load/record.h"
#include "fault/report/round.h"

namespace sextant::fault {

// The history and the time line of one round, into a folder, which is made.
absl::Status WriteRound(const std::string& folder, const std::string& scenario, const Round& round,
                        const LoadRecord& record);

struct RunFacts {
  std::string scenario;
  uint64_t seed = 0;
  int rounds_wanted = 1;
  int clients = 0;
  std::string error;  // why the run ended early; empty: it did not
};
// result.json and journal.jsonl: all rounds.
absl::Status WriteResult(const std::string& folder, const RunFacts& facts,
                         const std::vector<Round>& rounds);

// What a run came to, for people: figures, stalls, what could not be explained.
std::string Summary(const RunFacts& facts, const std::vector<Round>& rounds);

// Draws plot.svg from timeline.csv, the faults marked. NOT_FOUND: there is no gnuplot here.
absl::Status DrawPlot(const std::string& folder, const std::string& scenario, const Round& round);

}  // namespace sextant::fault
