// LocalCluster with stand-ins for the servers: small scripts that write a ready file and wait.
#include "cli/cluster/local_cluster.h"
#include "cli/cluster/launch_command.h"
#include "common/testing/temporary_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace sextant::cli {
namespace {

namespace fs = std::filesystem;
constexpr absl::Duration kGenerous = absl::Seconds(60);

// Writes the file that --ready-file names, then waits for signals. `extra` runs first.
std::string Script(const std::string& extra) {
  return "#!/bin/sh\n" + extra +
         "while [ $# -gt 0 ]; do [ \"$1\" = --ready-file ] && ready=$2; shift; done\n"
         "echo \"{\\\"pid\\\": $$}\" > $ready.new && mv $ready.new $ready\n"
         "exec sleep 600\n";
}

class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() {
    fs::create_directories(root_ + "/bin");
    Install("sextant-storage-node", Script(""));
    Install("sextant-compute-node", Script(""));
    setenv("SEXTANT_BIN_DIR", (root_ + "/bin").c_str(), 1);
  }
  ~LocalClusterTest() override {
    if (const auto state = LoadState(dir()); state.ok()) KillNodes(*state, AllNames(*state));
  }
  void Install(const std::string& name, const std::string& text) {
    const std::string path = root_ + "/bin/" + name;
    std::ofstream(path) << text;
    fs::permissions(path, fs::perms::owner_all);
  }
  std::string dir() const { return root_ + "/data"; }
  static std::vector<std::string> AllNames(const ClusterState& state) {
    return *ResolveTargets(state, {"all"});
  }
  static absl::StatusOr<LocalCluster> OpenOrCreate(const std::string& dir,
                                                   RequestedSettings settings = {}) {
    return LocalCluster::OpenOrCreate(dir, settings, [](const std::string&) {});
  }
  static int CountIn(const ClusterState& state, ProcessState wanted) {
    int count = 0;
    for (const NodeState& node : state.nodes) count += StateOf(node.process) == wanted;
    return count;
  }
  sextant::testing::TemporaryFolder folder_;
  const std::string root_ = folder_.path();
};

TEST_F(LocalClusterTest, StartsSevenProcessesAndStopsThem) {
  auto cluster = OpenOrCreate(dir());
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_TRUE(cluster->Start(AllNames(cluster->state()), "", kGenerous).ok());
  EXPECT_EQ(CountIn(*LoadState(dir()), ProcessState::kRunning), 7);
  const auto outcomes = cluster->Stop(AllNames(cluster->state()), kGenerous);
  ASSERT_EQ(outcomes.size(), 7u);
  EXPECT_EQ(outcomes[0].node,
            "writer");  // first, so that no commit is under way without its quorum
  for (const NodeOutcome& outcome : outcomes) EXPECT_EQ(outcome.did, "stopped") << outcome.node;
  EXPECT_EQ(CountIn(*LoadState(dir()), ProcessState::kStopped), 7);
}

TEST_F(LocalClusterTest, RestartsOnlyWhatWasKilledOnTheSamePorts) {
  std::vector<NodeState> before;
  {
    auto cluster = OpenOrCreate(dir());
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    ASSERT_TRUE(cluster->Start(AllNames(cluster->state()), "", kGenerous).ok());
    before = cluster->state().nodes;
    KillNodes(cluster->state(), *ResolveTargets(cluster->state(), {"az2", "writer"}));
    EXPECT_EQ(CountIn(cluster->state(), ProcessState::kStopped), 3);
  }
  auto cluster = OpenOrCreate(dir());
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_TRUE(cluster->Start(AllNames(cluster->state()), "", kGenerous).ok());
  for (size_t i = 0; i < before.size(); ++i) {
    const NodeState& now = cluster->state().nodes[i];
    EXPECT_EQ(now.listen, before[i].listen);
    const bool was_killed = now.zone == "az2" || now.is_writer();
    EXPECT_EQ(now.process == before[i].process, !was_killed) << now.name;
  }
}

TEST_F(LocalClusterTest, PausesAZoneAndResumesIt) {
  auto cluster = OpenOrCreate(dir());
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_TRUE(cluster->Start(AllNames(cluster->state()), "", kGenerous).ok());
  const auto zone = *ResolveTargets(cluster->state(), {"az3"});
  for (const auto& outcome : PauseNodes(cluster->state(), zone)) EXPECT_EQ(outcome.did, "paused");
  EXPECT_EQ(CountIn(cluster->state(), ProcessState::kPaused), 2);
  for (const auto& outcome : ResumeNodes(cluster->state(), zone)) EXPECT_EQ(outcome.did, "resumed");
  EXPECT_EQ(CountIn(cluster->state(), ProcessState::kPaused), 0);
}

TEST_F(LocalClusterTest, ANodeThatEndsAtStartIsShownWithItsLog) {
  Install("sextant-compute-node", Script("echo no such quorum; exit 1\n"));
  auto cluster = OpenOrCreate(dir());
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto started = cluster->Start({"writer"}, "", kGenerous);
  ASSERT_FALSE(started.ok());
  EXPECT_NE(started.status().ToString().find("no such quorum"), std::string::npos);
}

TEST_F(LocalClusterTest, RefusesOtherSettings) {
  ASSERT_TRUE(OpenOrCreate(dir(), {.segment_bytes = 64 << 20}).ok());
  EXPECT_TRUE(OpenOrCreate(dir()).ok());
  EXPECT_TRUE(OpenOrCreate(dir(), {.segment_bytes = 64 << 20}).ok());
  const auto other = OpenOrCreate(dir(), {.segment_bytes = 32 << 20});
  EXPECT_TRUE(absl::IsInvalidArgument(other.status())) << other.status();
}

TEST_F(LocalClusterTest, RefusesAFolderOfSomethingElse) {
  fs::create_directories(dir());
  std::ofstream(dir() + "/letter.txt") << "dear";
  EXPECT_TRUE(absl::IsInvalidArgument(OpenOrCreate(dir()).status()));
  EXPECT_FALSE(fs::exists(dir() + "/cluster.json"));
}

TEST_F(LocalClusterTest, RefusesASecondCommandMeanwhile) {
  const auto first = OpenOrCreate(dir());
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsAborted(OpenOrCreate(dir()).status()));
}

TEST_F(LocalClusterTest, WithoutBinariesNothingIsTouched) {
  fs::remove(root_ + "/bin/sextant-storage-node");
  EXPECT_TRUE(absl::IsNotFound(OpenOrCreate(dir()).status()));
  EXPECT_FALSE(fs::exists(dir()));
}

TEST(ClusterStateTest, SurvivesJson) {
  std::vector<uint16_t> ports;
  for (uint16_t i = 0; i < kPortsPerCluster; ++i) ports.push_back(static_cast<uint16_t>(20000 + i));
  ClusterState state = NewClusterState({1 << 20, 8192, 3}, ports);
  state.nodes[2].process = {1234, 567890123456};
  const auto read = StateFromJson(StateToJson(state));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->settings, state.settings);
  EXPECT_EQ(read->nodes[2].process, state.nodes[2].process);
  EXPECT_EQ(read->nodes[6].listen, "127.0.0.1:20012");
  EXPECT_FALSE(StateFromJson("{}").ok());
  EXPECT_FALSE(StateFromJson("{\"sextant_cluster\": 2}").ok());
}

TEST(ClusterStateTest, ReadersKnowEachOtherAndAreNoZone) {
  const ClusterSettings settings{.readers = 2};
  const ClusterState state =
      NewClusterState(settings, std::vector<uint16_t>(PortsFor(settings), 1));
  ASSERT_EQ(state.nodes.size(), 9u);
  EXPECT_EQ(state.writer().name, "writer");
  EXPECT_EQ(state.ComputeAddresses().size(), 3u);
  EXPECT_EQ(state.StorageAddresses().size(), 6u);
  EXPECT_EQ(StateFromJson(StateToJson(state))->nodes[8].is_reader, true);
  EXPECT_EQ(ResolveTargets(state, {"reader-2", "writer"})->size(), 2u);
  EXPECT_FALSE(ResolveTargets(state, {""}).ok()) << "compute nodes are of no zone";
  const auto command = NodeCommand({"storage", "compute"}, "dir", state, state.nodes[7], "", {});
  const auto has = [&](const std::string& text) {
    return std::find(command.begin(), command.end(), text) != command.end();
  };
  EXPECT_EQ(command[0], "compute");
  EXPECT_TRUE(has("reader") && has("writer=127.0.0.1:1") && has("reader-1=127.0.0.1:1"));
  EXPECT_FALSE(has("--create-volume"));
}

TEST(ResolveTargetsTest, NodesZonesAndAll) {
  const ClusterState state = NewClusterState({}, std::vector<uint16_t>(kPortsPerCluster, 1));
  using Names = std::vector<std::string>;
  EXPECT_EQ(*ResolveTargets(state, {"writer", "az2", "az2-a"}),
            (Names{"az2-a", "az2-b", "writer"}));
  EXPECT_EQ(ResolveTargets(state, {"all"})->size(), 7u);
  EXPECT_TRUE(absl::IsInvalidArgument(ResolveTargets(state, {"az4"}).status()));
}

}  // namespace
}  // namespace sextant::cli
