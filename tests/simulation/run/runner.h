// Runner: many seeds, one after the other or in several processes, until one breaks a rule.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/engine/report.h"

namespace sextant::simulation {

struct RunOptions {
  uint64_t first_seed = 1, last_seed = 1;
  int jobs = 1;
  bool is_verbose = false;
  bool is_twice = false;     // each seed twice, with equal traces
  bool keeps_going = false;  // past the first seed that breaks a rule
  std::string replay;        // the command that repeats one seed, to be followed by its number
  std::string commit;        // of the sources
};

struct RunResult {
  Report report;          // of all seeds that were run
  uint64_t failures = 0;  // seeds that broke a rule
  uint64_t first_failure = 0;
};

// Prints every seed that breaks a rule. A check of the code under test that stops the process
// counts as one: the handler for it prints the same.
RunResult RunSeeds(const RunOptions& options);

}  // namespace sextant::simulation
