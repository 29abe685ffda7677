// A volume of small segments grows through more than twenty protection groups under SQL clients,
// on both kinds of cluster, while a node and the writer are killed: nothing acknowledged is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "tests/integration/cluster.h"
#include "tests/integration/ledger.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

constexpr uint64_t kSegmentBytes = 64 << 10;
constexpr int64_t kPagesPerGroup = kSegmentBytes / 4096;

enum class Kind { kEmbedded, kProcess };

class GrowthTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    const ClusterOptions options{.directory = folder_.path() + "/cluster",
                                 .segment_bytes = kSegmentBytes,
                                 .protection_groups = 1};
    cluster_ =
        GetParam() == Kind::kEmbedded ? MakeEmbeddedCluster(options) : MakeProcessCluster(options);
    ASSERT_OK(cluster_->Up());
  }
  void TearDown() override {
    cluster_.reset();
    if (HasFailure()) folder_.Keep();
  }
  int64_t Pages() {
    SqlClient client(cluster_->sql_endpoint());
    return std::stoll(client.QueryOne("PRAGMA page_count").value_or("0"));
  }
  // Lets the load go on until the database needs so many groups.
  void GrowTo(const Ledger& ledger, int64_t groups) {
    while (Pages() <= groups * kPagesPerGroup) ASSERT_OK(ledger.WaitForProgress(20));
  }

  TemporaryFolder folder_;
  std::unique_ptr<Cluster> cluster_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, GrowthTest, ::testing::Values(Kind::kEmbedded, Kind::kProcess),
                         [](const auto& info) {
                           return info.param == Kind::kEmbedded ? "Embedded" : "Process";
                         });

TEST_P(GrowthTest, ThroughTwentyGroupsWhileANodeAndTheWriterAreKilled) {
  ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
  Ledger ledger(cluster_->sql_endpoint(), 4);
  GrowTo(ledger, 7);
  ASSERT_OK(cluster_->KillNode("az2-a"));
  GrowTo(ledger, 12);
  ASSERT_OK(cluster_->StartNode("az2-a"));
  GrowTo(ledger, 15);
  ASSERT_OK(cluster_->KillWriter());
  ASSERT_OK(cluster_->Up());
  GrowTo(ledger, 21);
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
  ASSERT_OK(cluster_->KillAll());
  ASSERT_OK(cluster_->Up());
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
  SqlClient client(cluster_->sql_endpoint());
  EXPECT_EQ(client.QueryOne("PRAGMA integrity_check").value_or("?"), "ok");
}

TEST_P(GrowthTest, OneTransactionLargerThanTheVolume) {
  SqlClient client(cluster_->sql_endpoint());
  ASSERT_OK(client.Execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)").status());
  ASSERT_OK(client
                .Execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
                         "i < 200) INSERT INTO t SELECT i, zeroblob(3000) FROM n",
                         /*atomic=*/false, absl::Seconds(60))
                .status());
  EXPECT_EQ(client.QueryOne("SELECT sum(length(b)) FROM t").value_or("?"), "600000");
  EXPECT_GT(Pages(), 10 * kPagesPerGroup);
}

}  // namespace
}  // namespace sextant::testing
