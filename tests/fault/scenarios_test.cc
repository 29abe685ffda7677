// Every scenario of `sextant fault list`, once: everything that clients saw is explained.
#include <gtest/gtest.h>

#include <algorithm>

#include "common/testing/status_matchers.h"
#include "tests/fault/fault_testing.h"

namespace sextant::testing {
namespace {

class ScenarioTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, IsExplained) {
  const fault::Scenario& scenario = *fault::FindScenario(GetParam());
  SKIP_UNLESS_PLAYABLE(scenario);
  TemporaryFolder folder;
  const auto result = fault::RunScenario(scenario, ShortRun(folder.path() + "/run"));
  ASSERT_OK(result);
  EXPECT_TRUE(result->is_explained()) << fault::Summary(result->facts, result->rounds);
  for (const fault::Round& round : result->rounds) {
    EXPECT_GT(round.faults, 0);
    EXPECT_GT(round.before.commits, 0);
    EXPECT_GT(round.after.commits, 0);
  }
  if (HasFailure()) folder.Keep();
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const fault::Scenario& scenario : fault::Scenarios()) names.push_back(scenario.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(, ScenarioTest, ::testing::ValuesIn(Names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace sextant::testing
