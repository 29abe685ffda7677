// Sessions: transactions, tickets, typed values, errors, limits; and no reply before it is durable.
#include "compute-node/sql/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "compute-node/sql/testing/session_fixture.h"

namespace sextant::sql {
namespace {

using ::testing::HasSubstr;

bool IsReady(std::future<Answer>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

TEST_F(SessionTest, StatementsInOrderWithTypedValues) {
  SqlClient client(*executor_);
  ASSERT_TRUE(client.Run("CREATE TABLE t(i INTEGER, r REAL, s TEXT, b BLOB, n)").ok());
  Request insert;
  insert.statements.push_back({.sql = "INSERT INTO t VALUES(?, ?, :s, @b, $n)",
                               .parameters = {int64_t{-7}, 1.5},
                               .named_parameters = {{"s", std::string("it's")},
                                                    {"@b", Blob{std::string("\0\1", 2)}},
                                                    {"n", std::monostate{}}}});
  const Answer inserted = client.Run(insert);
  ASSERT_TRUE(inserted.ok()) << inserted.message();
  EXPECT_EQ(inserted.results[0].changes, 1);
  EXPECT_EQ(inserted.results[0].last_insert_rowid, 1);
  EXPECT_EQ(inserted.position, volume_.head());
  const Answer read = client.Run("SELECT *, 1 + 1 AS two FROM t");
  ASSERT_TRUE(read.ok()) << read.message();
  ASSERT_EQ(read.results[0].columns.size(), 6u);
  EXPECT_EQ(read.results[0].columns[0].declared_type, "INTEGER");
  EXPECT_EQ(read.results[0].columns[5].name, "two");
  EXPECT_EQ(read.results[0].columns[5].declared_type, "");
  EXPECT_EQ(read.results[0].changes, 0);
  EXPECT_EQ(read.results[0].rows[0],
            (Row{int64_t{-7}, 1.5, std::string("it's"), Blob{std::string("\0\1", 2)},
                 std::monostate{}, int64_t{2}}));
}

TEST_F(SessionTest, WrongParametersAreErrors) {
  SqlClient client(*executor_);
  Request request = MakeRequest({"SELECT ?, ?"});
  EXPECT_THAT(client.Run(request).message(), HasSubstr("parameter ?1 was not given"));
  request.statements[0].parameters = {int64_t{1}, int64_t{2}, int64_t{3}};
  EXPECT_THAT(client.Run(request).message(), HasSubstr("has 2 parameters, but 3"));
  request = MakeRequest({"SELECT :a"});
  request.statements[0].named_parameters = {{"b", int64_t{1}}};
  EXPECT_THAT(client.Run(request).message(), HasSubstr("no parameter b"));
}

TEST_F(SessionTest, ErrorsLeaveTheSessionUsable) {
  SqlClient client(*executor_);
  client.Run("CREATE TABLE t(a PRIMARY KEY)");
  EXPECT_THAT(client.Run("SELEC 1").message(), HasSubstr("syntax error"));
  EXPECT_THAT(client.Run("SELECT * FROM nope").message(), HasSubstr("no such table: nope"));
  EXPECT_THAT(client.Run("SELECT 1; SELECT 2").message(), HasSubstr("more than one statement"));
  EXPECT_TRUE(client.Run("INSERT INTO t VALUES(1)").ok());
  const Answer twice = client.Run("INSERT INTO t VALUES(1)");
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error->sqlite_code, SQLITE_CONSTRAINT_PRIMARYKEY);
  EXPECT_EQ(twice.error->code, absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(twice.error->outcome, Outcome::kNotCommitted);
  EXPECT_FALSE(twice.error->is_retriable);
  EXPECT_EQ(client.Run("SELECT a FROM t").rows(), "1;");
  EXPECT_EQ(tickets_.waiting(), 0u);
}

TEST_F(SessionTest, FirstErrorStopsARequestAndSaysWhere) {
  SqlClient client(*executor_);
  const Answer answer = client.Run(MakeRequest({"CREATE TABLE t(a)", "INSERT INTO t VALUES(1)",
                                                "INSERT INTO nope VALUES(1)", "DELETE FROM t"}));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error->statement_index, 2u);
  EXPECT_EQ(answer.results.size(), 2u);
  EXPECT_EQ(client.Run("SELECT a FROM t").rows(), "1;");
}

TEST_F(SessionTest, AtomicRequestsAreAllOrNone) {
  SqlClient client(*executor_);
  Request request =
      MakeRequest({"CREATE TABLE t(a)", "INSERT INTO t VALUES(1) RETURNING a", "SELECT a FROM t"});
  request.is_atomic = true;
  const Answer all = client.Run(request);
  ASSERT_TRUE(all.ok()) << all.message();
  EXPECT_EQ(all.results.size(), 3u);
  EXPECT_EQ(all.rows(), "1;1;");
  EXPECT_EQ(all.results[1].changes, 1);
  EXPECT_FALSE(all.in_transaction);
  request = MakeRequest({"INSERT INTO t VALUES(2)", "INSERT INTO nope VALUES(1)"});
  request.is_atomic = true;
  EXPECT_FALSE(client.Run(request).ok());
  EXPECT_EQ(client.Run("SELECT count(*) FROM t").rows(), "1;");
  request = MakeRequest({"INSERT INTO t VALUES(2)", "COMMIT"});
  request.is_atomic = true;
  EXPECT_THAT(client.Run(request).message(), HasSubstr("ended its transaction"));
}

TEST_F(SessionTest, ScriptsRunManyStatements) {
  SqlClient client(*executor_);
  const Answer answer = client.Script(
      "-- a script\nCREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1); INSERT INTO t VALUES(2);\n"
      "COMMIT; BEGIN READ ONLY; SELECT sum(a) FROM t; END; /* done */ ;");
  ASSERT_TRUE(answer.ok()) << answer.message();
  EXPECT_EQ(answer.rows(), "3;");
  EXPECT_EQ(answer.results.size(), 8u);
  EXPECT_FALSE(answer.in_transaction);
}

TEST_F(SessionTest, InteractiveTransactionsAreIsolated) {
  SqlClient a(*executor_), b(*executor_);
  a.Script("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  EXPECT_TRUE(a.Run("BEGIN").in_transaction);
  a.Run("UPDATE t SET a = 2");
  EXPECT_EQ(a.Run("SELECT a FROM t").rows(), "2;");
  EXPECT_EQ(b.Run("SELECT a FROM t").rows(), "1;");
  EXPECT_TRUE(b.Run("BEGIN READ ONLY").ok());
  EXPECT_EQ(b.Run("SELECT a FROM t").rows(), "1;");
  EXPECT_FALSE(a.Run("COMMIT").in_transaction);
  EXPECT_EQ(b.Run("SELECT a FROM t").rows(), "1;");
  EXPECT_THAT(b.Run("UPDATE t SET a = 9").message(), HasSubstr("READ ONLY"));
  EXPECT_TRUE(b.Run("END").ok());
  EXPECT_EQ(b.Run("SELECT a FROM t").rows(), "2;");
}

TEST_F(SessionTest, AnErrorInATransactionLeavesItOpen) {
  SqlClient client(*executor_);
  client.Script("CREATE TABLE t(a PRIMARY KEY); BEGIN; INSERT INTO t VALUES(1)");
  const Answer error = client.Run("INSERT INTO t VALUES(1)");
  EXPECT_FALSE(error.ok());
  EXPECT_TRUE(error.in_transaction);
  EXPECT_TRUE(client.Run("COMMIT").ok());
  EXPECT_EQ(client.Run("SELECT a FROM t").rows(), "1;");
}

TEST_F(SessionTest, LateUpgradeOfADeferredTransactionIsRefused) {
  SqlClient a(*executor_), b(*executor_);
  a.Script("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  b.Script("BEGIN DEFERRED; SELECT a FROM t");
  a.Run("UPDATE t SET a = 2");
  const Answer late = b.Run("UPDATE t SET a = 3");
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error->sqlite_code, SQLITE_BUSY_SNAPSHOT);
  EXPECT_EQ(late.error->code, absl::StatusCode::kAborted);
  EXPECT_TRUE(a.Run("UPDATE t SET a = 4").ok()) << "the ticket must be free";
  b.Run("ROLLBACK");
  EXPECT_EQ(b.Script("BEGIN DEFERRED; UPDATE t SET a = a + 1; SELECT a FROM t; COMMIT").rows(),
            "5;");
}

TEST_F(SessionTest, WritersTakeTurnsInOrder) {
  SqlClient first(*executor_);
  first.Script("CREATE TABLE t(id INTEGER PRIMARY KEY, who); BEGIN");
  constexpr size_t kWriters = 5;
  std::vector<std::unique_ptr<SqlClient>> clients;
  std::vector<std::future<Answer>> answers;
  for (size_t i = 0; i < kWriters; ++i) {
    clients.push_back(std::make_unique<SqlClient>(*executor_));
    answers.push_back(clients[i]->Start(Text("INSERT INTO t(who) VALUES(", i, ")")));
    ASSERT_TRUE(Eventually([&] { return tickets_.waiting() == i + 1; }));
  }
  EXPECT_TRUE(first.Run("COMMIT").ok());
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
  EXPECT_EQ(first.Run("SELECT group_concat(who) FROM t").rows(), "0,1,2,3,4;");
}

TEST_F(SessionTest, WaitingForTheTicketEndsWithTheDeadline) {
  SqlClient a(*executor_), b(*executor_);
  a.Script("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)");
  Request request = MakeRequest({"INSERT INTO t VALUES(2)"});
  request.timeout = absl::Milliseconds(20);
  const Answer late = b.Run(request);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error->code, absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(late.error->outcome, Outcome::kNotCommitted);
  EXPECT_TRUE(late.error->is_retriable);
  EXPECT_THAT(late.message(), HasSubstr("nothing was changed"));
}

TEST_F(SessionTest, CommitsWaitForDurabilityButNotForEachOther) {
  SqlClient a(*executor_), b(*executor_);
  a.Script("CREATE TABLE t(a); INSERT INTO t VALUES(0)");
  volume_.SetAutomatic(false);
  auto first = a.Start("INSERT INTO t VALUES(1)");
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 1; }));
  const Lsn first_lsn = volume_.head();
  auto second = b.Start("INSERT INTO t VALUES(2)");
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 2; }));
  EXPECT_FALSE(IsReady(first));
  volume_.AdvanceVdl(first_lsn);
  EXPECT_EQ(first.get().position, first_lsn);
  EXPECT_FALSE(IsReady(second));
  volume_.AdvanceVdl(volume_.head());
  EXPECT_TRUE(second.get().ok());
}

TEST_F(SessionTest, ReadsAtADurableSnapshotDoNotWaitOwnCommitsDo) {
  SqlClient writer(*executor_), reader(*executor_);
  writer.Script("CREATE TABLE t(a); INSERT INTO t VALUES(0)");
  volume_.SetAutomatic(false);
  auto commit = writer.Start("UPDATE t SET a = 1");
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 1; }));
  EXPECT_EQ(reader.Run("SELECT a FROM t").rows(), "0;");
  // A transaction that writes stands on the undurable head: its rows must wait.
  auto begin = reader.Run("BEGIN");
  EXPECT_TRUE(begin.ok());
  auto undurable = reader.Start("SELECT a FROM t");
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 2; }));
  EXPECT_FALSE(IsReady(undurable));
  volume_.SetAutomatic(true);
  EXPECT_EQ(undurable.get().rows(), "1;");
  EXPECT_TRUE(commit.get().ok());
  EXPECT_TRUE(reader.Run("ROLLBACK").ok());
}

TEST_F(SessionTest, CommitThatIsNotDurableInTimeIsUnknown) {
  SqlClient client(*executor_), other(*executor_);
  client.Script("CREATE TABLE t(a); INSERT INTO t VALUES(0)");
  volume_.SetAutomatic(false);
  auto commit = client.Start("UPDATE t SET a = 1");
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 1; }));
  volume_.ExpireWaits();
  const Answer answer = commit.get();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error->outcome, Outcome::kUnknown);
  EXPECT_LE(answer.position, volume_.vdl()) << "no token of what may be lost";
  EXPECT_EQ(answer.error->code, absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(answer.error->is_retriable);
  EXPECT_TRUE(answer.results.empty());
  EXPECT_EQ(other.Run("SELECT a FROM t").rows(), "0;");
  volume_.SetAutomatic(true);
  EXPECT_EQ(client.Run("SELECT a FROM t").rows(), "1;");
  EXPECT_EQ(other.Run("SELECT a FROM t").rows(), "1;");
}

TEST_F(SessionTest, BackPressureIsWaitedOutAndCommitTriedAgain) {
  SqlClient client(*executor_);
  client.Script("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)");
  volume_.FailChecks(absl::ResourceExhaustedError("too much redo is unacknowledged"));
  Request commit = MakeRequest({"COMMIT"});
  commit.timeout = absl::Milliseconds(20);
  const Answer late = client.Run(commit);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error->code, absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(late.error->is_retriable);
  EXPECT_TRUE(late.in_transaction) << "COMMIT can be said again";
  auto again = client.Start("COMMIT");
  volume_.FailChecks(absl::OkStatus());
  EXPECT_TRUE(again.get().ok());
  EXPECT_EQ(client.Run("SELECT a FROM t").rows(), "1;");
}

TEST_F(SessionTest, FencedWriterRefusesAtOnce) {
  SqlClient client(*executor_);
  client.Run("CREATE TABLE t(a)");
  volume_.FailChecks(absl::FailedPreconditionError("fenced by epoch 9"));
  const Answer answer = client.Run("INSERT INTO t VALUES(1)");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error->code, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(answer.error->outcome, Outcome::kNotCommitted);
  EXPECT_THAT(answer.message(), HasSubstr("fenced by epoch 9"));
}

TEST_F(SessionTest, WhatWasReadIsShownOnlyByWhoIsProvenToBeTheWriter) {
  SqlClient reader(*executor_), writer(*executor_);
  reader.Script("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(0)");
  volume_.HoldProofs();
  const int before = volume_.proofs();
  auto read = reader.Start("SELECT a FROM t");
  ASSERT_TRUE(Eventually([&] { return volume_.proofs() == before + 1; }));
  EXPECT_TRUE(writer.Run("INSERT INTO t VALUES(1)").ok()) << "its acknowledgements are its proof";
  EXPECT_TRUE(writer.Run("BEGIN").ok()) << "shows nothing";
  EXPECT_EQ(volume_.proofs(), before + 1);
  EXPECT_FALSE(IsReady(read));
  volume_.AnswerProofs(absl::OkStatus());
  EXPECT_EQ(read.get().rows(), "0;");

  // Not only rows tell of data: what a transaction changed so far, what it could not change, and
  // that there was nothing to change.
  for (const char* sql : {"UPDATE t SET a = 5 WHERE a = 1", "INSERT INTO t VALUES(5)", "COMMIT",
                          "UPDATE t SET a = 5 WHERE a = 5", "SELECT a FROM nowhere",
                          "BEGIN READ ONLY; SELECT a FROM t; COMMIT"}) {
    SCOPED_TRACE(sql);
    volume_.HoldProofs();
    const int asked = volume_.proofs();
    auto answer = writer.Start(MakeRequest({sql}, /*is_script=*/true));
    if (std::string_view(sql) != "COMMIT") {  // that one is proven by what it appends
      ASSERT_TRUE(Eventually([&] { return volume_.proofs() == asked + 1; }));
      EXPECT_FALSE(IsReady(answer));
    }
    volume_.AnswerProofs(absl::OkStatus());
    answer.wait();
  }
}

TEST_F(SessionTest, ADeposedWriterShowsNothing) {
  SqlClient client(*executor_), transaction(*executor_);
  client.Script("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(0)");
  EXPECT_EQ(transaction.Script("BEGIN READ ONLY; SELECT a FROM t").rows(), "0;");
  for (SqlClient* asker : {&client, &transaction}) {
    for (const char* sql :
         {"SELECT a FROM t", "INSERT INTO t VALUES(0)", "SELECT a FROM nowhere"}) {
      SCOPED_TRACE(sql);
      volume_.HoldProofs();
      const int asked = volume_.proofs();
      auto read = asker->Start(sql);
      if (asker == &client || sql[0] == 'S') {
        ASSERT_TRUE(Eventually([&] { return volume_.proofs() == asked + 1; }));
      }
      volume_.AnswerProofs(absl::FailedPreconditionError("fenced: another writer"));
      const Answer answer = read.get();
      ASSERT_FALSE(answer.ok());
      EXPECT_EQ(answer.rows(), "");
      if (asker == &transaction && sql[0] == 'I') continue;  // READ ONLY: refused as such
      EXPECT_EQ(answer.error->code, absl::StatusCode::kFailedPrecondition);
      EXPECT_FALSE(answer.error->is_retriable);
      EXPECT_EQ(answer.error->outcome, Outcome::kNotCommitted);
      EXPECT_THAT(answer.message(), HasSubstr("another writer"));
    }
  }
}

TEST_F(SessionTest, OneProofServesAResultInParts) {
  SqlClient client(*executor_);
  client.Script(
      "CREATE TABLE t(a); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
      "FROM n WHERE i < 5000) SELECT i FROM n");
  const int before = volume_.proofs();
  const Answer answer = client.Run("SELECT a FROM t");
  EXPECT_GT(answer.responses, 3u);
  EXPECT_EQ(volume_.proofs(), before + 1);
}

TEST_F(SessionTest, LargeResultsComeInParts) {
  SqlClient client(*executor_);
  Request request = MakeRequest({"SELECT 1",
                                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                                 "WHERE i < 95) SELECT i FROM n",
                                 "SELECT 2"});
  request.max_rows_per_response = 10;
  const Answer answer = client.Run(request);
  ASSERT_TRUE(answer.ok()) << answer.message();
  EXPECT_GE(answer.responses, 9u);
  size_t rows = 0;
  for (const StatementResult& result : answer.results) rows += result.rows.size();
  EXPECT_EQ(rows, 97u);
  EXPECT_TRUE(answer.results[2].is_continuation);
  EXPECT_FALSE(answer.results.back().is_continuation);
  EXPECT_EQ(answer.results.back().rows[0][0], Value(int64_t{2}));
}

TEST_F(SessionTest, TokensMakeAReaderWait) {
  SqlClient client(*executor_);
  client.Run("CREATE TABLE t(a)");
  volume_.SetAutomatic(false);
  SqlClient writer(*executor_);
  auto commit = writer.Start("INSERT INTO t VALUES(1)");
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 1; }));
  Request read = MakeRequest({"SELECT a FROM t"});
  read.min_lsn = volume_.head();
  auto answer = client.Start(read);
  ASSERT_TRUE(Eventually([&] { return volume_.waits() == 2; }));
  volume_.SetAutomatic(true);
  EXPECT_EQ(answer.get().rows(), "1;");
  EXPECT_TRUE(commit.get().ok());
}

TEST_F(SessionTest, ClosingStopsARunningStatementAndRollsBack) {
  auto a = std::make_unique<SqlClient>(*executor_);
  SqlClient b(*executor_);
  a->Script("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)");
  auto endless = a->Start(
      "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n "
      "LIMIT -1");
  a->session().Close();
  EXPECT_EQ(endless.get().error->code, absl::StatusCode::kCancelled);
  EXPECT_TRUE(b.Run("INSERT INTO t VALUES(2)").ok());
  EXPECT_EQ(b.Run("SELECT a FROM t").rows(), "2;");
}

TEST_F(SessionTest, BatchesAreOneRoundTripOnAConnectionOfTheirOwn) {
  const auto batch = [this](Request request) {
    std::promise<Response> done;
    executor_->Batch(std::move(request), [&done](Response r) { done.set_value(std::move(r)); });
    return done.get_future().get();
  };
  Response response = batch(MakeRequest({"CREATE TABLE t(a)", "INSERT INTO t VALUES(1)"}));
  EXPECT_FALSE(response.error.has_value());
  EXPECT_TRUE(response.is_last);
  EXPECT_EQ(response.position, volume_.head());
  response = batch(MakeRequest({"BEGIN", "INSERT INTO t VALUES(2)"}));
  EXPECT_THAT(response.error->message, HasSubstr("left a transaction open"));
  EXPECT_FALSE(response.in_transaction);
  batch(MakeRequest({"CREATE TEMP TABLE mine(a)", "PRAGMA foreign_keys=ON"}));
  response = batch(MakeRequest({"SELECT count(*) FROM temp.sqlite_schema", "PRAGMA foreign_keys"}));
  EXPECT_EQ(response.results[0].rows[0][0], Value(int64_t{0}));
  EXPECT_EQ(response.results[1].rows[0][0], Value(int64_t{0}));
  response = batch(MakeRequest({"SELECT a FROM t", "SELECT last_insert_rowid()"}));
  EXPECT_EQ(response.results[0].rows.size(), 1u);
  EXPECT_EQ(response.results[1].rows[0][0], Value(int64_t{0}));
}

TEST_F(SessionTest, ConcurrentTransfersKeepTheSum) {
  SqlClient setup(*executor_);
  setup.Script(
      "CREATE TABLE account(id INTEGER PRIMARY KEY, money INT);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)"
      "INSERT INTO account SELECT i, 100 FROM n");
  std::vector<std::thread> threads;
  std::atomic<int> wrong_sums{0};
  for (int c = 0; c < 4; ++c) {
    threads.emplace_back([this, c, &wrong_sums] {
      SqlClient client(*executor_);
      for (int i = 0; i < 40; ++i) {
        Request transfer = MakeRequest(
            {Text("UPDATE account SET money = money - 1 WHERE id = ", 1 + i % 10),
             Text("UPDATE account SET money = money + 1 WHERE id = ", 1 + (i + c) % 10)});
        transfer.is_atomic = true;
        EXPECT_TRUE(client.Run(transfer).ok());
        if (client.Run("SELECT sum(money) FROM account").rows() != "1000;") ++wrong_sums;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong_sums, 0);
  EXPECT_EQ(setup.Run("PRAGMA integrity_check").rows(), "ok;");
}

}  // namespace
}  // namespace sextant::sql
