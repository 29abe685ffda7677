// A bug that is planted must be seen: storage nodes that acknowledge before they have synced.
#include <gtest/gtest.h>

#include <iostream>

#include "common/testing/status_matchers.h"
#include "tests/fault/fault_testing.h"

namespace sextant::testing {
namespace {

// A seed of power-loss that takes the writer, too: the next one finds what storage nodes still
// have.
uint64_t SeedThatTakesTheWriter() {
  const fault::Topology topology = {
      {{"az1", {"az1-a", "az1-b"}}, {"az2", {"az2-a", "az2-b"}}, {"az3", {"az3-a", "az3-b"}}},
      "writer",
      {}};
  for (uint64_t seed = 1;; ++seed) {
    Prng prng(seed);
    if (fault::FindScenario("power-loss")->plan(topology, absl::Seconds(1), &prng).size() > 1) {
      return seed;
    }
  }
}

TEST(PlantedBugTest, AckBeforeSyncIsSeenInAPowerLoss) {
  const fault::Scenario& scenario = *fault::FindScenario("power-loss");
  SKIP_UNLESS_PLAYABLE(scenario);
  TemporaryFolder folder;
  fault::RunOptions options = ShortRun(folder.path() + "/run");
  options.seed = SeedThatTakesTheWriter();
  options.storage_flags = {"--failpoint", "ack-before-sync=on"};
  const auto result = fault::RunScenario(scenario, options);
  ASSERT_OK(result);
  EXPECT_FALSE(result->is_explained()) << "acknowledged commits were lost, and nobody saw it";
  std::cout << fault::Summary(result->facts, result->rounds);
}

}  // namespace
}  // namespace sextant::testing
