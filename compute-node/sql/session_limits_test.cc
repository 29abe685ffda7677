// What one session may take from the others: idle transactions, numbers, sizes; and clients that
// stall.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute-node/sql/testing/session_fixture.h"

namespace sextant::sql {
namespace {

using ::testing::HasSubstr;

class ShortLimits : public SessionTest {
 protected:
  ShortLimits()
      : SessionTest({.max_sessions = 2,
                     .idle_write_limit = absl::Milliseconds(30),
                     .max_buffered_bytes = 100'000}) {}
};

TEST_F(ShortLimits, IdleWriteTransactionsAreRolledBack) {
  SqlClient a(*executor_), b(*executor_);
  a.Script("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)");
  EXPECT_TRUE(b.Run("INSERT INTO t VALUES(2)").ok()) << "waits for the idle limit";
  const Answer told = a.Run("COMMIT");
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error->code, absl::StatusCode::kAborted);
  EXPECT_THAT(told.message(), HasSubstr("rolled back"));
  EXPECT_FALSE(told.in_transaction);
  EXPECT_EQ(a.Run("SELECT a FROM t").rows(), "2;");
}

TEST_F(ShortLimits, SessionsAreCounted) {
  SqlClient a(*executor_), b(*executor_);
  EXPECT_EQ(executor_->OpenSession().status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ShortLimits, ResultsThatCannotBeSentInPartsAreBounded) {
  SqlClient client(*executor_);
  client.Run("CREATE TABLE t(a)");
  const Answer answer = client.Run(
      "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
      "20000)"
      "SELECT i FROM n RETURNING a");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error->code, absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(client.Run("SELECT count(*) FROM t").rows(), "0;");
}

// Takes no part of a result, only its end.
class StallingSink : public ResponseSink {
 public:
  void Send(Response response, std::function<void(bool)> sent) override {
    if (response.is_last) return sent(true);
    std::lock_guard lock(mutex_);
    sent_ = std::move(sent);
  }
  bool is_one_shot() const override { return false; }
  void Abort() override {
    std::function<void(bool)> sent;
    {
      std::lock_guard lock(mutex_);
      sent = std::exchange(sent_, nullptr);
    }
    if (sent) sent(false);
  }

 private:
  std::mutex mutex_;
  std::function<void(bool)> sent_;
};

TEST_F(ShortLimits, ClientsThatTakeNoRowsLoseTheTicket) {
  SqlClient stalled(*executor_), other(*executor_);
  stalled.Script("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)");
  Request large =
      MakeRequest({"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
                   "SELECT i FROM n"});
  std::promise<void> finished;
  stalled.session().Execute(large, std::make_shared<StallingSink>(), [&] { finished.set_value(); });
  finished.get_future().wait();
  stalled.session().Close();
  EXPECT_TRUE(other.Run("INSERT INTO t VALUES(2)").ok());
  EXPECT_EQ(other.Run("SELECT a FROM t").rows(), "2;");
}

TEST_F(ShortLimits, PrivateTemporaryDatabasesAreAllowed) {
  SqlClient client(*executor_);
  const Answer answer = client.Script(
      "ATTACH '' AS scratch; CREATE TABLE scratch.s(a); INSERT INTO scratch.s VALUES(3);"
      "CREATE TABLE t(a); INSERT INTO t SELECT a FROM scratch.s; SELECT a FROM t; DETACH scratch");
  EXPECT_TRUE(answer.ok()) << answer.message();
  EXPECT_EQ(answer.rows(), "3;");
}

class ReaderNode : public SessionTest {
 protected:
  ReaderNode() : SessionTest({.is_read_only = true, .find_writer = [this] { return writer_; }}) {}
  std::optional<NodeAddress> writer_;
};

TEST_F(ReaderNode, RefusesWritesAndNamesTheWriter) {
  SqlClient client(*executor_);
  EXPECT_EQ(client.Run("SELECT 1").rows(), "1;");
  Answer refused = client.Run("CREATE TABLE t(a)");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error->code, absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("no writer"));
  EXPECT_FALSE(refused.error->writer.has_value());
  writer_ = NodeAddress{"reader-1", "10.0.0.1:7010"};
  refused = client.Run("CREATE TABLE t(a)");
  EXPECT_THAT(refused.message(), HasSubstr("reader-1 (10.0.0.1:7010)"));
  ASSERT_TRUE(refused.error->writer.has_value());
  EXPECT_EQ(refused.error->writer->address, "10.0.0.1:7010");
}

TEST_F(ReaderNode, APlainBeginReads) {
  SqlClient client(*executor_);
  EXPECT_TRUE(client.Run("BEGIN").ok());
  EXPECT_EQ(client.Run("SELECT count(*) FROM sqlite_schema").rows(), "0;");
  EXPECT_FALSE(client.Run("CREATE TABLE t(a)").ok());
  EXPECT_TRUE(client.Run("COMMIT").ok());
}

}  // namespace
}  // namespace sextant::sql
