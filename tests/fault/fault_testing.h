// What the tests of faults share: a run in a folder of its own, kept if the test fails.
#pragma once

#include <string>

#include "common/testing/temporary_folder.h"
#include "fault/run/run.h"

namespace sextant::testing {

// Short rounds; SEXTANT_SEED and SEXTANT_ROUNDS override.
fault::RunOptions ShortRun(const std::string& directory);

// Skips the test, saying why, where this machine cannot play it. Call it first.
#define SKIP_UNLESS_PLAYABLE(scenario)                                          \
  do {                                                                          \
    const std::string obstacle = ::sextant::fault::Prepare(scenario);           \
    if (!obstacle.empty()) GTEST_SKIP() << (scenario).name << ": " << obstacle; \
  } while (false)

}  // namespace sextant::testing
