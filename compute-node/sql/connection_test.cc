// Connections on a volume: snapshots, commits, what is refused, what survives, what errors leave.
#include "compute-node/sql/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/query.h"

namespace sextant::sql {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ConnectionTest : public ::testing::Test {
 protected:
  explicit ConnectionTest(MemoryVolume::Options options = {}) : volume_(options) {}

  std::unique_ptr<Connection> Open(bool is_writer = false) {
    auto connection = Connection::Open(vfs_, {});
    EXPECT_TRUE(connection.ok()) << connection.status();
    (*connection)->file().SetHoldsTicket(is_writer);
    return *std::move(connection);
  }

  MemoryVolume volume_;
  VolumeVfs vfs_{&volume_};
};

TEST_F(ConnectionTest, EmptyVolumeBecomesADatabaseByItsFirstWrite) {
  auto writer = Open(true);
  EXPECT_EQ(Query(writer->db(), "SELECT count(*) FROM sqlite_schema"), "0\n");
  EXPECT_EQ(volume_.head(), Lsn(0));
  EXPECT_EQ(Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1); SELECT a FROM t"),
            "1\n");
  EXPECT_GT(volume_.head(), Lsn(0));
  EXPECT_EQ(writer->file().last_commit(), volume_.head());
  EXPECT_EQ(volume_.open_views(), 0u);
}

TEST_F(ConnectionTest, ReadersKeepTheirSnapshotWhileOthersCommit) {
  auto writer = Open(true);
  auto reader = Open();
  Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  EXPECT_EQ(Query(reader->db(), "BEGIN; SELECT a FROM t"), "1\n");
  Query(writer->db(), "UPDATE t SET a = 2; CREATE TABLE u(b)");
  EXPECT_EQ(Query(reader->db(), "SELECT a FROM t; SELECT count(*) FROM sqlite_schema"), "1\n1\n");
  EXPECT_EQ(Query(reader->db(), "COMMIT; SELECT a FROM t; SELECT count(*) FROM sqlite_schema"),
            "2\n2\n");
}

TEST_F(ConnectionTest, WritingFromAnOldSnapshotIsBusySnapshot) {
  auto writer = Open(true);
  auto late = Open();
  Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  EXPECT_EQ(Query(late->db(), "BEGIN DEFERRED; SELECT a FROM t"), "1\n");
  Query(writer->db(), "UPDATE t SET a = 2");
  late->file().SetHoldsTicket(true);
  EXPECT_THAT(Query(late->db(), "UPDATE t SET a = 3"), StartsWith("error 517"));
  EXPECT_EQ(late->file().TakeError().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Query(late->db(), "ROLLBACK; UPDATE t SET a = a + 1; SELECT a FROM t"), "3\n");
}

TEST_F(ConnectionTest, WithoutTheTicketNothingIsWritten) {
  auto writer = Open(true);
  auto other = Open();
  Query(writer->db(), "CREATE TABLE t(a)");
  EXPECT_THAT(Query(other->db(), "INSERT INTO t VALUES(1)"), StartsWith("error 5:"));
}

TEST_F(ConnectionTest, ReadersSeeOnlyWhatIsDurableAndWritersTheirOwnCommits) {
  auto writer = Open(true);
  auto reader = Open();
  Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  volume_.SetAutomatic(false);
  Query(writer->db(), "UPDATE t SET a = 2");
  writer->file().SetHoldsTicket(false);
  EXPECT_EQ(Query(reader->db(), "SELECT a FROM t"), "1\n");
  EXPECT_EQ(Query(writer->db(), "SELECT a FROM t"), "2\n");
  EXPECT_GT(writer->file().position(), volume_.vdl());
  volume_.AdvanceVdl(volume_.head());
  EXPECT_EQ(Query(reader->db(), "SELECT a FROM t"), "2\n");
}

TEST_F(ConnectionTest, OwnCacheIsNotStaleAfterOthersCommitOrAnythingRollsBack) {
  auto a = Open(true);
  auto b = Open(true);
  Query(a->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(0)");
  for (int i = 1; i <= 40; ++i) {
    Connection& writer = i % 2 == 0 ? *a : *b;
    Connection& other = i % 2 == 0 ? *b : *a;
    if (i % 5 == 0) Query(other.db(), "BEGIN IMMEDIATE; UPDATE t SET a = -1; ROLLBACK");
    if (i % 7 == 0) {
      volume_.FailChecks(absl::UnavailableError("no"));
      EXPECT_THAT(Query(other.db(), "UPDATE t SET a = -2"), StartsWith("error"));
      volume_.FailChecks(absl::OkStatus());
    }
    EXPECT_EQ(Query(writer.db(), "UPDATE t SET a = a + 1; SELECT a FROM t"), Text(i, "\n"));
    EXPECT_EQ(Query(other.db(), "SELECT a FROM t"), Text(i, "\n"));
  }
}

TEST_F(ConnectionTest, RestartSeesExactlyWhatWasDurable) {
  Lsn durable;
  {
    auto writer = Open(true);
    Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    volume_.SetAutomatic(false);
    durable = volume_.vdl();
    Query(writer->db(), "INSERT INTO t VALUES(2); CREATE INDEX i ON t(a)");
  }
  volume_.Crash();
  EXPECT_EQ(volume_.head(), durable);
  auto again = Open();
  EXPECT_EQ(Query(again->db(), "SELECT a FROM t; PRAGMA integrity_check"), "1\nok\n");
}

TEST_F(ConnectionTest, FailedChecksRollBackAndLeaveTheConnectionUsable) {
  auto writer = Open(true);
  Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  volume_.FailChecks(absl::FailedPreconditionError("fenced by epoch 7"));
  EXPECT_THAT(Query(writer->db(), "UPDATE t SET a = 2"), StartsWith("error 778"));
  EXPECT_THAT(writer->file().TakeError().message(), HasSubstr("fenced"));
  volume_.FailChecks(absl::OkStatus());
  EXPECT_EQ(Query(writer->db(), "SELECT a FROM t; UPDATE t SET a = 3; SELECT a FROM t"), "1\n3\n");
}

TEST_F(ConnectionTest, FailedAppendShowsTheOldData) {
  auto writer = Open(true);
  Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  volume_.FailAppends(absl::AbortedError("pages moved"));
  EXPECT_THAT(Query(writer->db(), "UPDATE t SET a = 2"), StartsWith("error 778"));
  volume_.FailAppends(absl::OkStatus());
  EXPECT_EQ(Query(writer->db(), "SELECT a FROM t; PRAGMA integrity_check"), "1\nok\n");
}

TEST_F(ConnectionTest, ReadErrorsAreErrorsAndPass) {
  auto writer = Open(true);
  Query(writer->db(), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  auto reader = Open();
  volume_.FailReads(absl::UnavailableError("no segment answers"));
  EXPECT_THAT(Query(reader->db(), "SELECT a FROM t"), StartsWith("error 266"));
  volume_.FailReads(absl::OkStatus());
  EXPECT_EQ(Query(reader->db(), "SELECT a FROM t"), "1\n");
}

TEST_F(ConnectionTest, RefusesWhatWouldLeaveTheVolumeOrItsRules) {
  auto writer = Open(true);
  sqlite3* db = writer->db();
  Query(db, "CREATE TABLE t(a)");
  EXPECT_THAT(Query(db, "PRAGMA journal_mode=WAL"), HasSubstr("fixed on a volume"));
  EXPECT_EQ(Query(db, "PRAGMA journal_mode"), "memory\n");
  EXPECT_EQ(Query(db, "PRAGMA journal_mode=MEMORY"), "memory\n");
  for (const char* pragma : {"locking_mode=EXCLUSIVE", "page_size=8192", "mmap_size=0",
                             "cache_spill=ON", "cache_spill=1", "synchronous=FULL",
                             "temp_store=FILE", "hard_heap_limit=1", "writable_schema=ON"}) {
    EXPECT_THAT(Query(db, Text("PRAGMA ", pragma)), HasSubstr("fixed on a volume")) << pragma;
    EXPECT_THAT(Query(db, Text("PRAGMA main.", pragma)), HasSubstr("fixed on a volume")) << pragma;
  }
  EXPECT_THAT(Query(db, "PRAGMA temp.cache_spill=ON"), StartsWith("error 23"));
  EXPECT_THAT(Query(db, "ATTACH '/tmp/x.db' AS x"), StartsWith("error 23"));
  EXPECT_THAT(Query(db, "ATTACH ':memory:' AS x"), StartsWith("error 23"));
  EXPECT_THAT(Query(db, "VACUUM INTO '/tmp/x.db'"), StartsWith("error 23"));
  EXPECT_THAT(Query(db, "SELECT load_extension('x')"), HasSubstr("not authorized"));
  EXPECT_THAT(Query(db, "INSERT INTO sqlite_schema DEFAULT VALUES"), StartsWith("error"));
  EXPECT_EQ(Query(db, "PRAGMA user_version=7; PRAGMA user_version; PRAGMA busy_timeout=100"),
            "7\n100\n");
}

TEST_F(ConnectionTest, FullFeaturedSqlWorks) {
  auto writer = Open(true);
  sqlite3* db = writer->db();
  EXPECT_EQ(Query(db,
                  "CREATE VIRTUAL TABLE f USING fts5(body);"
                  "INSERT INTO f VALUES('the quick brown fox'), ('a lazy dog');"
                  "SELECT rowid FROM f WHERE f MATCH 'quick'"),
            "1\n");
  EXPECT_EQ(Query(db, "SELECT json_extract('{\"a\":[1,2]}', '$.a[1]')"), "2\n");
  EXPECT_EQ(Query(db, "WITH v(x) AS (VALUES(1),(2),(3)) SELECT sum(x) OVER (ORDER BY x) FROM v"),
            "1\n3\n6\n");
  EXPECT_EQ(Query(db, "CREATE TEMP TABLE tt(a); INSERT INTO tt VALUES(5); SELECT a FROM tt"),
            "5\n");
  EXPECT_EQ(Query(db, "CREATE TABLE r(a); INSERT INTO r VALUES('x') RETURNING rowid"), "1\n");
}

TEST_F(ConnectionTest, VacuumShrinksAndTheVolumeGrowsAgain) {
  auto writer = Open(true);
  sqlite3* db = writer->db();
  Query(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  const std::string fill =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
      "INSERT INTO t SELECT i, printf('%0200d', i) FROM n;";
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Query(db, fill + "SELECT count(*) FROM t"), "2000\n");
    EXPECT_EQ(Query(db, "DELETE FROM t WHERE id > 10; VACUUM; SELECT count(*) FROM t"), "10\n");
    auto reader = Open();
    EXPECT_EQ(Query(reader->db(), "PRAGMA integrity_check; SELECT sum(v) FROM t"), "ok\n55\n");
    Query(db, "DELETE FROM t");
  }
}

TEST_F(ConnectionTest, SingleRowUpdateIsASmallMiniTransaction) {
  auto writer = Open(true);
  sqlite3* db = writer->db();
  Query(db,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60));"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        "INSERT INTO t SELECT i, i, printf('%0119d', i), printf('%059d', i) FROM n");
  const MemoryVolume::Counters before = volume_.counters();
  for (int i = 1; i <= 100; ++i) {
    Query(db, Text("UPDATE t SET c = hex(randomblob(59)) || 'x' WHERE id = ", i * 7));
  }
  const MemoryVolume::Counters after = volume_.counters();
  EXPECT_EQ(after.appends - before.appends, 100u);
  EXPECT_EQ(after.records - before.records, 100u);  // page one is in none of them
  const uint64_t bytes = (after.redo_bytes - before.redo_bytes) / 100;
  RecordProperty("redo_bytes_per_update", static_cast<int>(bytes));
  EXPECT_LE(bytes, 200u);
}

TEST_F(ConnectionTest, DatabaseOfAnotherPageSizeIsRefused) {
  {
    auto writer = Open(true);
    Query(writer->db(), "CREATE TABLE t(a)");
  }
  auto view = volume_.OpenView(volume_.head());
  auto page_one = volume_.ReadPage(**view, PageNo(0));
  std::string other = (*page_one)->bytes;
  other[16] = 0x20;  // 8192
  ASSERT_TRUE(volume_.Append({{PageNo(0), *page_one, other}}).ok());
  const auto connection = Connection::Open(vfs_, {});
  EXPECT_THAT(connection.status().message(), HasSubstr("pages of 8192 bytes"));
}

class SmallVolumeTest : public ConnectionTest {
 protected:
  SmallVolumeTest() : ConnectionTest({.pages = 20}) {}
};

TEST_F(SmallVolumeTest, GrowingBeyondTheEndIsFullAndRollsBack) {
  auto writer = Open(true);
  sqlite3* db = writer->db();
  Query(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1, 'a')");
  EXPECT_THAT(Query(db,
                    "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                    "INSERT INTO t SELECT i, printf('%0200d', i) FROM n"),
              StartsWith("error 13"));
  EXPECT_THAT(writer->file().TakeError().message(), HasSubstr("volume is full"));
  EXPECT_EQ(Query(db, "PRAGMA integrity_check; SELECT v FROM t"), "ok\na\n");
  EXPECT_EQ(Query(db, "INSERT INTO t VALUES(2, 'b'); SELECT count(*) FROM t"), "2\n");
}

TEST_F(ConnectionTest, CancelledStatementsStop) {
  auto connection = Open();
  bool cancel = true;
  connection->SetCancelled([&cancel] { return cancel; });
  const std::string endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
      "SELECT count(*) FROM n";
  EXPECT_THAT(Query(connection->db(), endless), StartsWith("error 9"));
  EXPECT_EQ(connection->TakeStopReason(), StopReason::kCancelled);
  cancel = false;
  EXPECT_EQ(Query(connection->db(), "SELECT 1"), "1\n");
}

TEST_F(ConnectionTest, MemoryOfATransactionIsBounded) {
  auto opened = Connection::Open(vfs_, {.max_memory_bytes = 2 << 20});
  ASSERT_TRUE(opened.ok());
  Connection& connection = **opened;
  EXPECT_THAT(
      Query(connection.db(),
            "CREATE TEMP TABLE t(v);"
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
            "INSERT INTO t SELECT printf('%0200d', i) FROM n"),
      StartsWith("error 9"));
  EXPECT_EQ(connection.TakeStopReason(), StopReason::kOutOfMemory);
}

TEST(StatementCacheTest, ReusesIdleStatementsAndRefusesSeveral) {
  MemoryVolume volume;
  VolumeVfs vfs(&volume);
  auto connection = Connection::Open(vfs, {.cached_statements = 2});
  ASSERT_TRUE(connection.ok());
  StatementCache& cache = (*connection)->statements();
  PreparedStatement first;
  ASSERT_EQ(cache.Prepare("SELECT 1", &first), SQLITE_OK);
  sqlite3_stmt* raw = first.get();
  first.Drop();
  ASSERT_EQ(cache.Prepare("SELECT 1", &first), SQLITE_OK);
  EXPECT_EQ(first.get(), raw);
  PreparedStatement second;
  ASSERT_EQ(cache.Prepare("SELECT 1", &second), SQLITE_OK);
  EXPECT_NE(second.get(), raw);
  PreparedStatement third;
  EXPECT_EQ(cache.Prepare("SELECT 1; SELECT 2", &third), SQLITE_MISUSE);
  EXPECT_EQ(cache.Prepare("SELECT 1; -- only a comment", &third), SQLITE_OK);
  EXPECT_EQ(cache.Prepare("-- nothing", &third), SQLITE_OK);
  EXPECT_EQ(third.get(), nullptr);
  std::string_view script = "SELECT 1; SELECT 2;";
  ASSERT_EQ(cache.PrepareNext(&script, &third), SQLITE_OK);
  EXPECT_EQ(script, " SELECT 2;");
}

}  // namespace
}  // namespace sextant::sql
