// A bug that is planted must be seen: storage nodes that acknowledge before they have synced, a
// source that answers without its replicas.
#include <gtest/gtest.h>

#include <algorithm>
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

// What is wrong with a power loss of nodes with these failpoints.
std::vector<fault::Anomaly> Anomalies(const std::vector<std::string>& failpoints,
                                      const std::string& folder) {
  fault::RunOptions options = ShortRun(folder);
  options.seed = SeedThatTakesTheWriter();
  options.commits_before = 300;  // so that there is something to lose on a slow machine, too
  options.patience = absl::Seconds(40);  // a cluster that lost its data may wait for it for ever
  for (const std::string& failpoint : failpoints) {
    options.storage_flags.insert(options.storage_flags.end(), {"--failpoint", failpoint});
  }
  const auto result = fault::RunScenario(*fault::FindScenario("power-loss"), options);
  EXPECT_OK(result);
  if (!result.ok()) return {};
  EXPECT_EQ(result->facts.error, "") << "the harness failed, so this shows nothing";
  std::cout << fault::Summary(result->facts, result->rounds);
  return result->rounds[0].anomalies;
}

bool Has(const std::vector<fault::Anomaly>& anomalies, const std::string& kind) {
  return std::any_of(anomalies.begin(), anomalies.end(),
                     [&](const fault::Anomaly& anomaly) { return anomaly.kind == kind; });
}

// The nodes themselves see it: their marks say that more was there.
TEST(PlantedBugTest, AckBeforeSyncIsSeenInAPowerLoss) {
  SKIP_UNLESS_PLAYABLE(*fault::FindScenario("power-loss"));
  TemporaryFolder folder;
  const auto anomalies = Anomalies({"ack-before-sync=on"}, folder.path() + "/run");
  EXPECT_FALSE(anomalies.empty()) << "acknowledged commits were lost, and nobody saw it";
}

// Nobody in the cluster can see it: all of it is an earlier volume, and whole. The judge must.
TEST(PlantedBugTest, AVolumeThatQuietlyWentBackIsSeenInWhatClientsRead) {
  SKIP_UNLESS_PLAYABLE(*fault::FindScenario("power-loss"));
  TemporaryFolder folder;
  const auto anomalies =
      Anomalies({"ack-before-sync=on@40", "forget-marks=on"}, folder.path() + "/run");
  EXPECT_FALSE(Has(anomalies, "process-ended")) << "somebody noticed: the bug is not planted well";
  EXPECT_TRUE(Has(anomalies, "incompatible-order") || Has(anomalies, "not-linearizable"))
      << "acknowledged commits were lost, and nobody saw it";
}

// Semi-sync that quietly becomes asynchronous: nothing is lost by it yet, and it is seen.
TEST(PlantedBugTest, AnswersWithoutReplicasAreSeenWhereCommitsMustWait) {
  fault::Scenario scenario = *fault::FindScenario("binlog-replicas-gone");
  scenario.compute_flags = {"--semi-sync-fall-back-ms", "20"};
  TemporaryFolder folder;
  const auto result = fault::RunScenario(scenario, ShortRun(folder.path() + "/run"));
  ASSERT_OK(result);
  EXPECT_EQ(result->facts.error, "") << "the harness failed, so this shows nothing";
  std::cout << fault::Summary(result->facts, result->rounds);
  EXPECT_TRUE(Has(result->rounds[0].anomalies, "commits-did-not-wait"));
}

}  // namespace
}  // namespace sextant::testing
