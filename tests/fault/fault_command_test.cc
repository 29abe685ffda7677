// `sextant fault`: what it prints, the files it leaves, its exit codes.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/cluster/cluster_state.h"
#include "common/base/text.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "tests/fault/fault_testing.h"
#include "tests/integration/command.h"

namespace sextant::testing {
namespace {

namespace fs = std::filesystem;

CommandResult Fault(const std::string& arguments) {
  return RunCommand(Text(BinaryPath("sextant"), " fault ", arguments));
}

TEST(FaultCommandTest, ListNamesEveryScenario) {
  const CommandResult table = Fault("list");
  EXPECT_EQ(table.exit_code, 0) << table.errors;
  const CommandResult json = Fault("list --output json");
  const auto list = nlohmann::json::parse(json.output);
  ASSERT_EQ(list.size(), fault::Scenarios().size());
  for (const fault::Scenario& scenario : fault::Scenarios()) {
    EXPECT_NE(table.output.find(scenario.name), std::string::npos);
  }
}

TEST(FaultCommandTest, WrongUsageIsTold) {
  const CommandResult unknown = Fault("run no-such-day");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.errors.find("sextant fault list"), std::string::npos) << unknown.errors;
  EXPECT_EQ(Fault("run az-outage --rounds 0").exit_code, 2);
  EXPECT_EQ(Fault("run").exit_code, 2);
}

TEST(FaultCommandTest, AFolderThatHoldsSomethingIsLeftAlone) {
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/mine") << "precious";
  const CommandResult result = Fault(Text("run writer-kill --dir ", folder.path()));
  EXPECT_EQ(result.exit_code, 2) << result.output;
  EXPECT_NE(result.errors.find("not empty"), std::string::npos) << result.errors;
  EXPECT_TRUE(fs::exists(folder.path() + "/mine"));
}

TEST(FaultCommandTest, LoadJudgesAnyCluster) {
  TemporaryFolder folder;
  const std::string cluster = Text(" --dir ", folder.path(), "/cluster");
  const std::string sextant = BinaryPath("sextant");
  ASSERT_EQ(RunCommand(Text(sextant, " cluster up --segment-size 1MiB", cluster)).exit_code, 0);
  for (int again = 0; again < 2; ++again) {  // on the tables of the run before
    const CommandResult result =
        Fault(Text("load --duration 1 --run-dir ", folder.path(), "/run", again, cluster));
    EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
    EXPECT_NE(result.output.find("everything is explained"), std::string::npos) << result.output;
    EXPECT_TRUE(fs::exists(Text(folder.path(), "/run", again, "/history.jsonl")));
  }
  EXPECT_EQ(RunCommand(Text(sextant, " cluster down", cluster)).exit_code, 0);
}

TEST(FaultCommandTest, ARunThatIsEndedLeavesNoServerBehind) {
  TemporaryFolder folder;
  const std::string run = folder.path() + "/run", output = folder.path() + "/output";
  const auto launched = cli::Launch({.command = {BinaryPath("sextant"), "fault", "run",
                                                 "writer-kill", "--duration", "3000", "--dir", run},
                                     .log_file = output});
  ASSERT_OK(launched.status());
  std::vector<cli::ProcessId> servers;
  ASSERT_TRUE(Await([&] {
    const auto state = cli::LoadState(run + "/cluster");
    if (!state.ok() || !state->is_volume_created) return false;
    servers.clear();
    for (const cli::NodeState& node : state->nodes) servers.push_back(node.process);
    return true;
  }));
  ASSERT_EQ(servers.size(), 7u);
  ASSERT_OK(cli::Signal(*launched, SIGTERM));
  EXPECT_TRUE(cli::WaitForExit(*launched, absl::Seconds(120)));
  for (const cli::ProcessId& server : servers) {
    EXPECT_EQ(cli::StateOf(server), cli::ProcessState::kStopped) << server.pid;
  }
  std::ostringstream said;
  said << std::ifstream(output).rdbuf();
  EXPECT_NE(said.str().find("ended by SIGTERM: killed 7 servers"), std::string::npos) << said.str();
}

TEST(FaultCommandTest, ARunSaysWhatItDidAndKeepsItsFiles) {
  TemporaryFolder folder;
  const std::string run = folder.path() + "/run";
  const CommandResult result =
      Fault(Text("run writer-kill --duration 3 --rounds 2 --seed 7 --dir ", run));
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  EXPECT_NE(result.output.find("commits/s"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("verdict: everything is explained, 2 of 2 rounds"),
            std::string::npos)
      << result.output;
  for (const char* name : {"history.jsonl", "journal.jsonl", "timeline.csv", "result.json"}) {
    EXPECT_GT(fs::file_size(run + "/" + name), 0u) << name;
  }
  // Without gnuplot there is none, and the run says so.
  EXPECT_TRUE(fs::exists(run + "/plot.svg") ||
              result.output.find("there is no gnuplot here") != std::string::npos);
  EXPECT_FALSE(fs::exists(run + "/cluster")) << "the data of a good run is kept only by --keep";
  std::ifstream file(run + "/result.json");
  const auto json = nlohmann::json::parse(file);
  EXPECT_EQ(json.at("verdict"), "explained");
  EXPECT_EQ(json.at("rounds").size(), 2u);
  EXPECT_GT(json.at("commits").get<int>(), 0);
  if (HasFailure()) folder.Keep();
}

}  // namespace
}  // namespace sextant::testing
