// RunScenario: a cluster, a load, a plan, a judgement; again for every round.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fault/report/files.h"
#include "fault/report/round.h"
#include "fault/scenario/scenario.h"

namespace sextant::fault {

struct RunOptions {
  std::string directory;  // an empty or new one; the cluster is made in it
  uint64_t seed = 1;
  int rounds = 1;
  int clients = 4;
  absl::Duration duration = absl::Seconds(10);  // of a round: 3 parts before, 4 of faults, 3 after
  int64_t commits_before = 1;                   // however long they take, faults wait for them
  // How long something is waited for that must happen. Generous: only what never will takes so
  // long.
  absl::Duration patience = absl::Seconds(120);
  bool keeps_cluster = false;              // its data, where all is explained
  std::vector<std::string> storage_flags;  // of every storage node: planted bugs
  // A line for people: live lines, warnings.
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

struct RunResult {
  RunFacts facts;
  std::vector<Round> rounds;
  bool is_explained() const;
};

// Why this machine cannot play it ("needs root ..."); empty: it can. Call it before there are
// threads, and before RunScenario.
std::string Prepare(const Scenario& scenario);

// An error: the run could not begin. What goes wrong later is in the result. A round that is not
// explained ends the run, and its cluster is kept.
absl::StatusOr<RunResult> RunScenario(const Scenario& scenario, const RunOptions& options);

// Plays no fault: clients work for `duration` on a cluster that is somebody else's, whoever harms
// it meanwhile, and what they were told is judged. Tables are made there, and stay. UNAVAILABLE: no
// endpoint takes commits.
absl::StatusOr<RunResult> RunLoad(const std::vector<std::string>& endpoints,
                                  const RunOptions& options);

}  // namespace sextant::fault
