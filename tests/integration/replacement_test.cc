// Storage nodes of a real cluster lose their data directory and are replaced while commits go on:
// by a spare, by themselves, after an undo in the middle of a rebuild, with the writer killed.
// Their peers have collected the log, so pages are copied; afterwards every copy must be whole.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/text.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"
#include "tests/integration/ledger.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

constexpr char kSum[] = "SELECT count(*) || ' ' || sum(length(b)) FROM big";

class ReplacementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // The nodes inherit them: the log is collected soon, and copying takes seconds.
    setenv("SEXTANT_COLLECT_LOG", "64KiB", 1);
    setenv("SEXTANT_REPAIR_RATE", "4MiB", 1);
    setenv("SEXTANT_MAX_MEMBER_ABSENCE_S", "1", 1);
    setenv("SEXTANT_RETAIN_S", "0", 1);
    setenv("SEXTANT_READER_HOLD_S", "0", 1);
    ClusterOptions options{.directory = folder_.path() + "/cluster",
                           .segment_bytes = 64 << 20,
                           .protection_groups = 1};
    options.spares = 3;
    cluster_ = MakeProcessCluster(options);
    ASSERT_OK(cluster_->Up());
    SqlClient client(cluster_->sql_endpoint());
    ASSERT_OK(client
                  .Execute("CREATE TABLE big(a INTEGER PRIMARY KEY, b BLOB);"
                           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                           "i < 3000) INSERT INTO big SELECT i, randomblob(3000) FROM n")
                  .status());
    ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
  }
  void TearDown() override {
    cluster_.reset();
    for (const char* name :
         {"SEXTANT_COLLECT_LOG", "SEXTANT_REPAIR_RATE", "SEXTANT_MAX_MEMBER_ABSENCE_S",
          "SEXTANT_RETAIN_S", "SEXTANT_READER_HOLD_S"}) {
      unsetenv(name);
    }
    if (HasFailure()) folder_.Keep();
  }
  std::string Directory() const { return folder_.path() + "/cluster"; }
  CommandResult Segment(const std::string& verb) {
    return RunCommand(Text(BinaryPath("sextant"), " segment ", verb, " --dir ", Directory()));
  }
  void Replace(const std::string& from, const std::string& to, const std::string& flags = "") {
    const CommandResult result =
        Segment(Text("replace --pg 0 --from ", from, " --to ", to, " ", flags));
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }
  // The node dies and comes back without its data.
  void Wipe(const std::string& node) {
    ASSERT_OK(cluster_->KillNode(node));
    std::filesystem::remove_all(Directory() + "/" + node);
    ASSERT_OK(cluster_->StartNode(node));
  }
  // Until every node's log begins above nothing: what is older exists as pages only.
  void WaitUntilCollected(const Ledger& ledger) {
    for (int i = 0; i < 300; ++i) {
      const CommandResult status = RunCommand(
          Text(BinaryPath("sextant"), " cluster status --output json --dir ", Directory()));
      if (status.output.find("\"log_start\": 0,") == std::string::npos) return;
      ASSERT_OK(ledger.WaitForProgress(5));
    }
    FAIL() << "the log is not collected";
  }
  bool IsWhole(const std::string& sum) {
    SqlClient client(cluster_->sql_endpoint());
    EXPECT_EQ(client.QueryOne("PRAGMA integrity_check").value_or("?"), "ok");
    EXPECT_EQ(client.QueryOne(kSum).value_or("?"), sum);
    return !HasFailure();
  }

  TemporaryFolder folder_;
  std::unique_ptr<Cluster> cluster_;
};

// A rebuild that was undone half-way and asked for again once left out the pages copied before:
// the new segment counted as whole, and its reads gave zeros.
TEST_F(ReplacementTest, RebuiltFromPagesUnderLoadWithAnUndoAndADeadWriter) {
  Ledger ledger(cluster_->sql_endpoint(), 2);
  ASSERT_OK(ledger.WaitForProgress(50));
  WaitUntilCollected(ledger);
  Replace("az2-b", "az2-c");
  ASSERT_OK(ledger.WaitForProgress(60));
  ASSERT_EQ(Segment("undo --pg 0 --from az2-b --wait").exit_code, 0);
  Replace("az2-b", "az2-c");
  ASSERT_OK(ledger.WaitForProgress(30));
  ASSERT_OK(cluster_->KillWriter());
  ASSERT_OK(cluster_->Up());
  Replace("az2-b", "az2-c", "--wait");
  Wipe("az1-a");
  Replace("az1-a", "az1-a", "--wait");
  ASSERT_OK(ledger.WaitForProgress(20));
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
  ASSERT_TRUE(IsWhole("3000 9000000"));
  // Now the rebuilt copies must answer: two of the others are gone and the cache is empty.
  ASSERT_OK(cluster_->KillNode("az3-a"));
  ASSERT_OK(cluster_->KillNode("az2-a"));
  ASSERT_OK(cluster_->KillWriter());
  ASSERT_OK(cluster_->StartWriter());
  ASSERT_TRUE(IsWhole("3000 9000000"));
}

}  // namespace
}  // namespace sextant::testing
