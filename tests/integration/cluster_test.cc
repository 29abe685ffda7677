// The promises of a cluster, told once and checked on both kinds of it: in one process, and real
// binaries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"
#include "tests/integration/ledger.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

enum class Kind { kEmbedded, kProcess };

class ClusterTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    const ClusterOptions options{.directory = folder_.path() + "/cluster"};
    cluster_ =
        GetParam() == Kind::kEmbedded ? MakeEmbeddedCluster(options) : MakeProcessCluster(options);
    ASSERT_OK(cluster_->Up());
  }

  void TearDown() override {
    cluster_.reset();
    if (HasFailure()) folder_.Keep();
  }

  TemporaryFolder folder_;
  std::unique_ptr<Cluster> cluster_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ClusterTest, ::testing::Values(Kind::kEmbedded, Kind::kProcess),
                         [](const auto& info) {
                           return info.param == Kind::kEmbedded ? "Embedded" : "Process";
                         });

TEST_P(ClusterTest, AnswersSqlAndSurvivesBadSql) {
  SqlClient client(cluster_->sql_endpoint());
  ASSERT_OK(client.Execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)").status());
  ASSERT_OK(client.Execute("INSERT INTO t(b) VALUES('x'),('y')").status());
  const auto bad = client.Execute("SELEC 1");
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument) << bad.status();
  EXPECT_THAT(std::string(bad.status().message()), ::testing::HasSubstr("syntax error"));
  EXPECT_EQ(client.QueryOne("SELECT group_concat(b) FROM t").value_or("?"), "x,y");
  ASSERT_OK(client.Execute("BEGIN; INSERT INTO t(b) VALUES('z'); ROLLBACK").status());
  EXPECT_EQ(client.QueryOne("SELECT count(*) FROM t").value_or("?"), "2");
}

TEST_P(ClusterTest, CommitsWithSixFiveAndFourSegmentsAndWaitsAtThree) {
  SqlClient client(cluster_->sql_endpoint());
  ASSERT_OK(client.Execute("CREATE TABLE t(a INTEGER PRIMARY KEY)").status());
  ASSERT_OK(client.Execute("INSERT INTO t VALUES(6)").status());
  ASSERT_OK(cluster_->KillNode("az1-a"));
  ASSERT_OK(client.Execute("INSERT INTO t VALUES(5)").status());
  ASSERT_OK(cluster_->KillNode("az2-b"));
  ASSERT_OK(client.Execute("INSERT INTO t VALUES(4)").status());

  ASSERT_OK(cluster_->KillNode("az3-a"));
  SqlClient impatient(cluster_->sql_endpoint());
  const auto refused =
      impatient.Execute("INSERT INTO t VALUES(3)", /*atomic=*/false, absl::Milliseconds(500));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDeadlineExceeded) << refused.status();
  EXPECT_TRUE(client::IsOutcomeUnknown(refused.status()));
  // Reads of what is durable go on.
  SqlClient reader(cluster_->sql_endpoint());
  EXPECT_EQ(reader.QueryOne("SELECT count(*) FROM t WHERE a >= 4").value_or("?"), "3");

  // A patient commit goes on by itself when the fourth segment returns.
  auto patient = std::async(std::launch::async, [&] {
    return client.Execute("INSERT INTO t VALUES(2)", false, absl::Seconds(60)).status();
  });
  EXPECT_EQ(patient.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  ASSERT_OK(cluster_->StartNode("az3-a"));
  ASSERT_OK(patient.get());
  // The unknown one was appended before the patient one, so it is there as well.
  EXPECT_EQ(
      client.QueryOne("SELECT group_concat(a) FROM (SELECT a FROM t ORDER BY a)").value_or("?"),
      "2,3,4,5,6");
}

TEST_P(ClusterTest, AnyTwoNodesMayDieInMidLoad) {
  ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
  Ledger ledger(cluster_->sql_endpoint(), 3);
  ASSERT_OK(ledger.WaitForProgress(50));
  ASSERT_OK(cluster_->KillNode("az1-b"));
  ASSERT_OK(ledger.WaitForProgress(20));
  ASSERT_OK(cluster_->KillNode("az3-a"));
  ASSERT_OK(ledger.WaitForProgress(50));
  ASSERT_OK(cluster_->StartNode("az1-b"));
  ASSERT_OK(cluster_->StartNode("az3-a"));
  ASSERT_OK(ledger.WaitForProgress(50));
  // Two others now: only if the first two caught up can the load go on.
  ASSERT_OK(cluster_->KillNode("az2-a"));
  ASSERT_OK(cluster_->KillNode("az2-b"));
  ASSERT_OK(ledger.WaitForProgress(50));
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
}

TEST_P(ClusterTest, WriterKilledInMidLoadLosesNothingAcknowledged) {
  ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
  Ledger ledger(cluster_->sql_endpoint(), 3);
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK(ledger.WaitForProgress(40));
    ASSERT_OK(cluster_->KillWriter());
    ASSERT_OK(cluster_->Up());
  }
  ASSERT_OK(ledger.WaitForProgress(40));
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
}

TEST_P(ClusterTest, EverythingKilledAtOnceComesBackWithEveryAcknowledgedRow) {
  ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
  Ledger ledger(cluster_->sql_endpoint(), 3);
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK(ledger.WaitForProgress(60));
    ASSERT_OK(cluster_->KillAll());
    ASSERT_OK(cluster_->Up());
  }
  ASSERT_OK(ledger.WaitForProgress(20));
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
}

TEST_P(ClusterTest, WriterRecoversWithTwoNodesGone) {
  ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
  Ledger ledger(cluster_->sql_endpoint(), 2);
  ASSERT_OK(ledger.WaitForProgress(40));
  ASSERT_OK(cluster_->KillNode("az2-a"));
  ASSERT_OK(cluster_->KillNode("az3-b"));
  ASSERT_OK(cluster_->KillWriter());
  ASSERT_OK(cluster_->StartWriter());
  ASSERT_OK(ledger.WaitForProgress(40));
  // The two return with a tail that the recovery may have cut off: they must learn so before they
  // count.
  ASSERT_OK(cluster_->StartNode("az2-a"));
  ASSERT_OK(cluster_->StartNode("az3-b"));
  ASSERT_OK(cluster_->KillNode("az1-a"));
  ASSERT_OK(cluster_->KillNode("az1-b"));
  ASSERT_OK(ledger.WaitForProgress(40));
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
}

}  // namespace
}  // namespace sextant::testing
