// Reading the past: requests that say as of when, on a volume in memory that keeps every version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/sql_client.h"

namespace sextant::sql {
namespace {

using ::testing::HasSubstr;

class TimeTravel : public ::testing::Test {
 protected:
  ~TimeTravel() override {
    executor_.Stop();
    EXPECT_EQ(volume_.open_views(), 0u);
  }
  static Request AsOf(Lsn lsn, std::vector<std::string> sqls) {
    Request request = MakeRequest(std::move(sqls));
    request.as_of_lsn = lsn;
    return request;
  }

  MemoryVolume volume_{{.keeps_versions = true}};
  compute::WriteTicketQueue tickets_;
  SqlExecutor executor_{&volume_, &tickets_, {.threads = 2}};
};

TEST_F(TimeTravel, EveryCommitCanBeReadAgainAndSoCanTheNewest) {
  SqlClient client(executor_);
  client.Run("CREATE TABLE t(a)");
  std::vector<Lsn> commits;
  for (int i = 0; i < 30; ++i) {
    commits.push_back(client.Run(Text("INSERT INTO t VALUES(", i, ")")).position);
  }
  // A schema of its own, and pages that were freed since.
  client.Script("ALTER TABLE t ADD COLUMN b DEFAULT 7; DELETE FROM t WHERE a > 3");
  for (int i = 29; i >= 0; --i) {
    EXPECT_EQ(client.Run(AsOf(commits[i], {"SELECT count(*), max(a) FROM t"})).rows(),
              Text(i + 1, "|", i, ";"));
    EXPECT_EQ(client.Run("SELECT count(*), max(b) FROM t").rows(), "4|7;");
  }
  EXPECT_THAT(client.Run(AsOf(commits[5], {"SELECT b FROM t"})).message(),
              HasSubstr("no such column"));
}

TEST_F(TimeTravel, DoesNotMoveTheSessionsToken) {
  SqlClient client(executor_);
  const Lsn first = client.Run("CREATE TABLE t(a)").position;
  const Lsn last = client.Run("INSERT INTO t VALUES(1)").position;
  EXPECT_EQ(client.Run(AsOf(first, {"SELECT count(*) FROM t"})).position, last);
  EXPECT_EQ(client.Run("SELECT count(*) FROM t").rows(), "1;");
}

TEST_F(TimeTravel, ByTime) {
  SqlClient client(executor_);
  client.Run("CREATE TABLE t(a)");
  const Lsn commit = client.Run("INSERT INTO t VALUES(1)").position;
  client.Run("INSERT INTO t VALUES(2)");
  Request request = MakeRequest({"SELECT count(*) FROM t"});
  request.as_of_time = absl::FromUnixMicros(static_cast<int64_t>(commit.value()));
  EXPECT_EQ(client.Run(request).rows(), "1;");
}

TEST_F(TimeTravel, ATransactionStaysWhereItBegan) {
  SqlClient client(executor_);
  const Lsn first = client.Run("CREATE TABLE t(a)").position;
  client.Run("INSERT INTO t VALUES(1)");
  ASSERT_TRUE(client.Run(AsOf(first, {"BEGIN"})).ok());
  EXPECT_EQ(client.Run("SELECT count(*) FROM t").rows(), "0;");
  EXPECT_FALSE(client.Run("INSERT INTO t VALUES(2)").ok());
  EXPECT_THAT(client.Run(AsOf(first, {"SELECT 1"})).message(), HasSubstr("a transaction is open"));
  ASSERT_TRUE(client.Run("COMMIT").ok());
  EXPECT_EQ(client.Run("SELECT count(*) FROM t").rows(), "1;");
}

TEST_F(TimeTravel, TheFutureAndWritesAreRefused) {
  SqlClient client(executor_);
  const Lsn first = client.Run("CREATE TABLE t(a)").position;
  const Answer future = client.Run(AsOf(first + 100, {"SELECT 1"}));
  ASSERT_FALSE(future.ok());
  EXPECT_EQ(future.error->code, absl::StatusCode::kOutOfRange);
  EXPECT_THAT(client.Run(AsOf(first, {"INSERT INTO t VALUES(1)"})).message(),
              HasSubstr("the past cannot be written"));
  EXPECT_TRUE(client.Run("INSERT INTO t VALUES(1)").ok());
}

}  // namespace
}  // namespace sextant::sql
