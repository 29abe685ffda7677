// The `sextant` binary as a user meets it: outputs and exit codes, without and with a cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/command/context.h"
#include "common/base/text.h"
#include "common/testing/temporary_folder.h"

namespace sextant::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Ran {
  int exit_code = -1;
  std::string text;  // standard output, then standard error
};

Ran Sextant(const std::string& arguments) {
  const std::string command = Text("{ ", SEXTANT_BINARY, " ", arguments, "; } 2>&1 </dev/null");
  FILE* pipe = popen(command.c_str(), "r");
  Ran ran;
  char buffer[4096];
  for (size_t n = fread(buffer, 1, sizeof buffer, pipe); n > 0;
       n = fread(buffer, 1, sizeof buffer, pipe)) {
    ran.text.append(buffer, n);
  }
  ran.exit_code = WEXITSTATUS(pclose(pipe));
  return ran;
}

TEST(CommandTest, UsageErrorsExitWithTwo) {
  for (const char* arguments :
       {"", "nonsense", "cluster", "cluster up --page-size 5", "sql --mode x", "cluster kill",
        "bench log --clients 0", "--config /nonexistent version"}) {
    EXPECT_EQ(Sextant(arguments).exit_code, kExitUsage) << arguments;
  }
  EXPECT_EQ(Sextant("--help").exit_code, kExitOk);
  EXPECT_THAT(Sextant("version").text, StartsWith("sextant "));
}

TEST(CommandTest, NoClusterAndNobodyThere) {
  EXPECT_EQ(Sextant("cluster status --dir /nonexistent").exit_code, kExitFailed);
  EXPECT_THAT(Sextant("sql --dir /nonexistent -e 'select 1'").text,
              HasSubstr("sextant cluster up"));
  // Port 1 is nobody's.
  EXPECT_EQ(Sextant("sql --endpoints 127.0.0.1:1 -e 'select 1'").exit_code, kExitUnavailable);
  EXPECT_EQ(Sextant("cluster status --endpoints 127.0.0.1:1").exit_code, kExitUnavailable);
  EXPECT_EQ(Sextant("volume show --endpoints 127.0.0.1:1").exit_code, kExitUnavailable);
  EXPECT_EQ(Sextant("bench sql --endpoints 127.0.0.1:1").exit_code, kExitUnavailable);
  EXPECT_EQ(Sextant("ping 127.0.0.1:1").exit_code, kExitUnavailable);
}

TEST(CommandTest, CompletionIsAScript) {
  EXPECT_EQ(Sextant("completion bash | bash -n").exit_code, kExitOk);
  EXPECT_THAT(Sextant("completion bash").text, HasSubstr("\"sextant cluster up\") words="));
}

class ClusterCommandTest : public ::testing::Test {
 protected:
  ~ClusterCommandTest() override { Run("cluster kill", "all"); }
  Ran Run(const std::string& verb, const std::string& arguments = "") {
    return Sextant(Text(verb, " --dir ", root_, "/data ", arguments));
  }
  nlohmann::json Json(const std::string& verb, const std::string& arguments = "") {
    const std::string errors = root_ + "/errors";
    const Ran ran = Run(verb, Text(arguments, " --output json 2>", errors));
    EXPECT_EQ(ran.exit_code, kExitOk) << verb << ": " << std::ifstream(errors).rdbuf();
    return nlohmann::json::parse(ran.text, nullptr, /*allow_exceptions=*/false);
  }
  sextant::testing::TemporaryFolder folder_;
  const std::string root_ = folder_.path();
};

TEST_F(ClusterCommandTest, ALifeOfACluster) {
  const nlohmann::json up = Json("cluster up", "--segment-size 16MiB --protection-groups 2");
  EXPECT_EQ(up["serving"], true);
  EXPECT_EQ(up["nodes"].size(), 7u);
  const std::string endpoint = up["endpoint"];
  EXPECT_EQ(Sextant(Text("ping ", endpoint)).exit_code, kExitOk);

  EXPECT_EQ(Run("sql",
                "-e 'create table t(a, b)' -e \"insert into t values(1, 'x, y'), (2, null)\" "
                "-e 'select * from t' --mode csv")
                .text,
            "1,\"x, y\"\n2,\n");
  EXPECT_EQ(Run("sql", "-e 'select a from t' --output json").text, "[{\"a\":1},\n{\"a\":2}]\n");
  EXPECT_EQ(Run("sql", "-e 'select * from nope'").exit_code, kExitFailed);

  const nlohmann::json status = Json("cluster status");
  EXPECT_EQ(status["writer"]["phase"], "open");
  EXPECT_EQ(status["volume"]["protection_groups"], 2);
  ASSERT_EQ(status["nodes"].size(), 6u);
  for (const auto& node : status["nodes"]) EXPECT_EQ(node["segments"].size(), 2u);
  EXPECT_THAT(Sextant(Text("cluster status --endpoints ", endpoint)).text, HasSubstr("az3-b"));

  const nlohmann::json volume = Json("volume show");
  EXPECT_EQ(volume["segment_bytes"], 16 << 20);
  EXPECT_THAT(Run("volume tail", "--no-follow").text, HasSubstr("CPL"));

  EXPECT_EQ(Run("cluster pause", "az1").exit_code, kExitOk);
  EXPECT_EQ(Json("cluster status")["nodes"][0]["process"], "paused");
  EXPECT_EQ(Run("sql", "-e 'insert into t values(3, 3)'").exit_code, kExitOk);
  EXPECT_EQ(Run("cluster resume", "az1").exit_code, kExitOk);

  EXPECT_EQ(Run("cluster kill", "writer").exit_code, kExitOk);
  EXPECT_EQ(Run("sql", "-e 'select 1'").exit_code, kExitUnavailable);
  EXPECT_EQ(Json("cluster status")["writer"]["process"], "stopped");
  EXPECT_EQ(Run("cluster start", "writer").exit_code, kExitOk);
  EXPECT_EQ(Run("sql", "-e 'select count(*) from t'").text, "3\n");

  EXPECT_EQ(Run("cluster down").exit_code, kExitOk);
  EXPECT_EQ(Run("cluster up", "--segment-size 32MiB").exit_code, kExitUsage);
  EXPECT_EQ(Json("cluster up")["endpoint"], endpoint);
  EXPECT_EQ(Run("sql", "-e 'select sum(a) from t'").text, "6\n");
}

TEST_F(ClusterCommandTest, ALifeOfTheTraditionalPath) {
  EXPECT_EQ(Run("cluster up", "--mode binlog --replicas 1 --semi-sync-acks 2").exit_code,
            kExitUsage);
  EXPECT_EQ(Json("cluster up", "--mode binlog --semi-sync-acks 1")["nodes"].size(), 3u);
  EXPECT_EQ(Run("sql", "-e 'create table t(a); insert into t values(1)'").exit_code, kExitOk);
  EXPECT_EQ(Json("cluster status")["writer"]["name"], "source");
  EXPECT_EQ(Json("cluster status")["readers"].size(), 2u);
  EXPECT_THAT(Run("binlog dump").text, HasSubstr("TABLE t(a)"));

  EXPECT_EQ(Run("cluster kill", "source").exit_code, kExitOk);
  EXPECT_EQ(Json("promote")["role"], "binlog-source");
  EXPECT_EQ(Run("sql", "-e 'insert into t values(2)'").exit_code, kExitOk);
  EXPECT_EQ(Run("cluster start", "source").exit_code, kExitOk);
  EXPECT_EQ(Run("sql", "-e 'select sum(a) from t'").text, "3\n");
  const nlohmann::json status = Json("cluster status");
  EXPECT_NE(status["writer"]["name"], "source");
  EXPECT_EQ(status["binlog"]["tenure"], 2);
}

TEST_F(ClusterCommandTest, TheTwoPathsAreCompared) {
  const nlohmann::json report =
      Json("compare", Text("--clients 2 --seconds 0.5 --warmup 0.1 --rows 100 --failures 1 ",
                           "--json-file ", root_, "/compare.json"));
  EXPECT_EQ(Run("compare", "--followers 1").exit_code, kExitUsage);
  ASSERT_EQ(report["paths"].size(), 3u);
  for (const auto& path : report["paths"]) {
    EXPECT_GT(path["commits"], 0) << path;
    EXPECT_GT(path["network_bytes_per_commit"], 0) << path;
    EXPECT_GT(path["disk_bytes_per_commit"], 0) << path;
    EXPECT_EQ(path["restart_ms"].size(), 1u) << path;
    EXPECT_EQ(path["failover_ms"].size(), 1u) << path;
    if (path["path"] != "async") EXPECT_EQ(path["lost_at_failover"], 0) << path;
  }
  EXPECT_TRUE(fs::exists(root_ + "/compare.json"));
}

TEST_F(ClusterCommandTest, BenchmarksReportWhatTheyMeasured) {
  Json("cluster up", "--segment-size 64MiB");
  for (const char* bench : {"bench log", "bench sql"}) {
    const nlohmann::json report = Json(bench, "--clients 4 --seconds 0.5 --warmup 0.1");
    EXPECT_GT(report["commits"], 0) << bench;
    EXPECT_EQ(report["errors"], 0) << bench;
    EXPECT_GT(report["latency_us"]["p50"], 0) << bench;
    EXPECT_GE(report["latency_us"]["max"], report["latency_us"]["p99"]) << bench;
    EXPECT_GT(report["server"]["redo_bytes_per_commit"], 0) << bench;
  }
  EXPECT_EQ(Run("sql", "-e '.tables'").text, "");  // the benchmark's table is gone
  EXPECT_EQ(Run("bench log", "--pages 1000000 --value-bytes 5000 2>&1").exit_code, kExitUsage);
}

}  // namespace
}  // namespace sextant::cli
