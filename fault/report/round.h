// What a round of a scenario came to: the journal of its faults, figures before, during and after,
// and everything that was wrong. Plain data, and how the figures are made of the samples.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fault/history/history.h"
#include "fault/load/record.h"

namespace sextant::fault {

struct JournalEntry {
  Nanos began = 0, ended = 0;  // of the harness's own doing it
  std::string what;            // "kill az1-a az1-b"
  bool is_mend = false;
};

// Of the requests that were answered in one phase of a round.
struct Phase {
  double seconds = 0;
  int64_t commits = 0, reads = 0, aborted = 0, unknown = 0;
  Nanos p50 = 0, p99 = 0;  // of the commits; 0: there was none
  double commits_per_second() const {
    return seconds > 0 ? static_cast<double>(commits) / seconds : 0;
  }
};

struct Round {
  int number = 1;
  uint64_t seed = 0;
  Nanos began = 0;   // the load
  Nanos struck = 0;  // the first fault began
  Nanos healed = 0;  // the last one was mended
  Nanos ended = 0;   // the load
  int faults = 0;    // that were inflicted: nodes times steps
  std::vector<JournalEntry> journal;
  Phase before, during, after;
  Nanos stall = 0;  // longest time without a commit, from the first fault to the end of the load
  std::vector<Anomaly> anomalies;  // of the history, and of what had to go on and did not
  bool is_explained() const { return anomalies.empty(); }
};

// Fills in the phases and the stall.
void Measure(const std::vector<Sample>& samples, Round* round);

// Commits that were asked for and answered between two moments.
int64_t CommitsWithin(const std::vector<Sample>& samples, Nanos begin, Nanos end);

// One point of the time line: all that was answered in 100 ms.
struct TimePoint {
  double seconds = 0;  // since the load began
  int64_t commits = 0, reads = 0, aborted = 0, unknown = 0;
  Nanos p50 = 0, p99 = 0;  // of the commits
};
std::vector<TimePoint> TimelineOf(const std::vector<Sample>& samples, const Round& round);

}  // namespace sextant::fault
