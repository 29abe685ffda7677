// Rows captured on one database and replayed on another: every way in which SQLite changes rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/status_matchers.h"
#include "compute-node/binlog/engine/testing/captured_database.h"

namespace sextant::binlog {
namespace {

using ::sextant::testing::StatusIs;
using ::testing::HasSubstr;

class CaptureTest : public ::testing::Test {
 protected:
  // Runs `sql` on the source, replays what it committed; the source's error, if any.
  std::string Run(const std::string& sql) {
    std::string error = source_.Run(sql);
    for (const std::string& transaction : source_.TakeTransactions()) {
      history_.push_back(transaction);
      const absl::Status status = copy_.Apply(transaction);
      EXPECT_OK(status) << sql;
    }
    return error;
  }
  void Same(const std::string& sql) {
    EXPECT_EQ(Run(sql), "") << sql;
    EXPECT_EQ(DatabaseDigest(source_.db()), DatabaseDigest(copy_.db())) << sql;
  }
  void SameFailing(const std::string& sql) {
    EXPECT_NE(Run(sql), "") << sql;
    EXPECT_EQ(DatabaseDigest(source_.db()), DatabaseDigest(copy_.db())) << sql;
  }
  void Refused(const std::string& sql, const std::string& why) {
    EXPECT_THAT(Run(sql), HasSubstr(why)) << sql;
    if (sqlite3_get_autocommit(source_.db()) == 0) Run("ROLLBACK");
    EXPECT_EQ(DatabaseDigest(source_.db()), DatabaseDigest(copy_.db())) << sql;
  }

  CapturedDatabase source_;
  ReplayedDatabase copy_;
  std::vector<std::string> history_;
};

TEST_F(CaptureTest, TablesOfEveryKind) {
  Same("CREATE TABLE plain(a, b)");
  Same("INSERT INTO plain VALUES(1, 'x'), (1, 'x'), (NULL, NULL)");
  Same("DELETE FROM plain WHERE rowid = 2");
  Same("UPDATE plain SET b = a WHERE a IS NULL");
  Same("CREATE TABLE ipk(b, id INTEGER PRIMARY KEY, c)");
  Same("INSERT INTO ipk VALUES('b', 9223372036854775807, 'c'), ('b', -9223372036854775808, 'd')");
  Same("UPDATE ipk SET id = 5 WHERE id < 0");
  Same("CREATE TABLE ikd(id INTEGER PRIMARY KEY DESC, c)");
  Same("INSERT INTO ikd VALUES(7, 1), (NULL, 2), (NULL, 3)");
  Same("CREATE TABLE pk(a, b, PRIMARY KEY(b, a))");
  Same("INSERT INTO pk VALUES(NULL, 1), (NULL, 1), (2, NULL)");
  Same("DELETE FROM pk WHERE a = 2");
  Same("CREATE TABLE wr(a, b TEXT COLLATE NOCASE, c, PRIMARY KEY(b, a)) WITHOUT ROWID");
  Same("INSERT INTO wr VALUES(1, 'K', 3), (2, 'k', 4)");
  Same("UPDATE wr SET b = 'j', c = 9 WHERE a = 1");
  Same("UPDATE wr SET b = 'J' WHERE a = 1");
  Same("DELETE FROM wr WHERE a = 2");
  Same("CREATE TABLE strict(a INT, b ANY, c REAL) STRICT");
  Same("INSERT INTO strict VALUES(1, '7', 3)");
  Same("CREATE TABLE \"odd \"\"name\"(\"a b\", rowid, \"select\")");
  Same("INSERT INTO \"odd \"\"name\" VALUES(1, 2, 3)");
  Same("UPDATE \"odd \"\"name\" SET rowid = 4");
  Same("CREATE TABLE none(id INTEGER PRIMARY KEY)");
  Same("INSERT INTO none VALUES(1), (2)");
  Same("UPDATE none SET id = 9 WHERE id = 1");
}

TEST_F(CaptureTest, ValuesBitForBit) {
  Same("CREATE TABLE v(i INTEGER, r REAL, t TEXT, n NUMERIC, b)");
  Same("INSERT INTO v VALUES('12', 3, 4, '5.0', x''), (9e999, -9e999, '', 1e400, zeroblob(9))");
  Same("INSERT INTO v VALUES(-0.0, -0.0, 'a' || char(0) || 'b', 9223372036854775807, x'00ff')");
  Same("INSERT INTO v VALUES(9223372036854775808, 1e-320, CAST(x'ff00fe' AS TEXT), '1e3', 0.1)");
  Same("INSERT INTO v(r, b) VALUES(9e999 - 9e999, -9223372036854775808)");  // NaN is NULL
  Same("UPDATE v SET i = '13', r = 4, t = 5, n = '6'");
  Same("UPDATE v SET b = i, i = b");
}

TEST_F(CaptureTest, GeneratedColumns) {
  Same("CREATE TABLE g(a INTEGER PRIMARY KEY, v AS (a * 2) VIRTUAL, b, s AS (b || '!') STORED, c)");
  Same("CREATE UNIQUE INDEX gi ON g(s, v)");
  Same("INSERT INTO g(b, c) VALUES('x', 'y'), ('z', NULL)");
  Same("UPDATE g SET a = a + 5, b = c");
  Same("DELETE FROM g WHERE b IS NULL");
  Same("CREATE TABLE ws(a, s AS (a || 's') STORED, b, PRIMARY KEY(b)) WITHOUT ROWID");
  Same("INSERT INTO ws VALUES(1, 2)");
  Same("UPDATE ws SET a = 6");
  Refused("CREATE TABLE wv(a PRIMARY KEY, v AS (a) VIRTUAL) WITHOUT ROWID", "declare it as STORED");
  Refused("CREATE TABLE gv(v AS (a) VIRTUAL, a INTEGER PRIMARY KEY, b)", "declare it after");
}

TEST_F(CaptureTest, ConflictsOfEveryKind) {
  Same("CREATE TABLE u(a UNIQUE, b UNIQUE, c)");
  Same("INSERT INTO u VALUES(1, 1, 1), (2, 2, 2), (3, 3, 3)");
  Same("REPLACE INTO u VALUES(1, 2, 'both')");
  Same("UPDATE OR REPLACE u SET a = 3 WHERE c = 'both'");
  Same("INSERT INTO u VALUES(3, 9, 9) ON CONFLICT(a) DO UPDATE SET c = excluded.c");
  Same("INSERT OR IGNORE INTO u VALUES(3, 9, 9), (7, 7, 7)");
  SameFailing("INSERT INTO u VALUES(8, 8, 8), (3, 0, 0)");
  SameFailing("INSERT OR FAIL INTO u VALUES(8, 8, 8), (3, 0, 0), (10, 10, 10)");
  SameFailing("INSERT OR ROLLBACK INTO u VALUES(11, 11, 11), (3, 0, 0)");
  SameFailing("BEGIN; INSERT INTO u VALUES(12, 12, 12); INSERT OR ROLLBACK INTO u VALUES(3, 3, 3)");
  SameFailing("UPDATE u SET a = abs(-9223372036854775808)");
  EXPECT_EQ(Run("BEGIN; INSERT INTO u VALUES(20, 20, 20)"), "");
  EXPECT_NE(Run("INSERT INTO u VALUES(21, 21, 21), (3, 0, 0)"), "");
  Same("COMMIT");
}

TEST_F(CaptureTest, TriggersAndCascades) {
  Same("PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON");
  Same("CREATE TABLE p(id INTEGER PRIMARY KEY, n)");
  Same("CREATE TABLE c(x REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, y)");
  Same("CREATE TABLE log(what)");
  Same("CREATE TRIGGER t1 AFTER INSERT ON p BEGIN INSERT INTO log VALUES('in ' || new.id); END");
  Same("CREATE TRIGGER t2 BEFORE DELETE ON c BEGIN INSERT INTO log VALUES(random()); END");
  Same("CREATE TRIGGER t3 AFTER INSERT ON p WHEN new.n = 'no' BEGIN SELECT RAISE(FAIL, 'x'); END");
  Same("CREATE TRIGGER t4 BEFORE INSERT ON p WHEN new.n = 'ig' BEGIN SELECT RAISE(IGNORE); END");
  Same("INSERT INTO p VALUES(1, 'a'), (2, 'b'), (3, 'ig')");
  Same("INSERT INTO c VALUES(1, 1), (1, 2), (2, 3)");
  Same("UPDATE p SET id = 10 WHERE id = 1");
  Same("DELETE FROM p WHERE id = 10");
  SameFailing("INSERT INTO p VALUES(20, 'y'), (21, 'no'), (22, 'z')");
  SameFailing("BEGIN; INSERT INTO c VALUES(99, 9); COMMIT");
  Run("ROLLBACK");
  Same("CREATE VIEW w AS SELECT id, n FROM p");
  Same("CREATE TRIGGER t5 INSTEAD OF INSERT ON w BEGIN INSERT INTO p VALUES(new.id, new.n); END");
  Same("INSERT INTO w VALUES(50, 'view')");
  Same("DROP TABLE p");  // deletes its rows first, and theirs
}

TEST_F(CaptureTest, DeferredConstraintsThatFailAtCommit) {
  Same("PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY)");
  Same("CREATE TABLE c(x REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
  SameFailing("INSERT INTO c VALUES(1)");
  EXPECT_NE(Run("BEGIN; INSERT INTO c VALUES(1); COMMIT"), "");
  Same("INSERT INTO p VALUES(1); COMMIT");  // the transaction has gone on
  Same("INSERT INTO c VALUES(1)");
}

TEST_F(CaptureTest, Savepoints) {
  Same("CREATE TABLE t(a)");
  Same(
      "BEGIN; INSERT INTO t VALUES(1); SAVEPOINT s; INSERT INTO t VALUES(2); ROLLBACK TO s;"
      "INSERT INTO t VALUES(3); RELEASE s; COMMIT");
  Same(
      "SAVEPOINT \"A b\"; INSERT INTO t VALUES(4); SAVEPOINT s; INSERT INTO t VALUES(5);"
      "RELEASE SAVEPOINT s; ROLLBACK TRANSACTION TO SAVEPOINT 'a B'; INSERT INTO t VALUES(6);"
      "RELEASE [a b]");
  Same(
      "SAVEPOINT s; INSERT INTO t VALUES(7); SAVEPOINT s; INSERT INTO t VALUES(8); ROLLBACK TO s;"
      "RELEASE s; RELEASE s");
  Same(
      "BEGIN; SAVEPOINT s; CREATE TABLE x(a); INSERT INTO x VALUES(1); ROLLBACK TO s;"
      "CREATE TABLE x(b, c); INSERT INTO x VALUES(1, 2); COMMIT");
  Same("BEGIN; INSERT INTO t VALUES(9); ROLLBACK");
  Same("BEGIN; COMMIT; INSERT INTO x VALUES(3, 4)");
}

TEST_F(CaptureTest, Schema) {
  Same("CREATE TABLE IF NOT EXISTS main.t(a INTEGER PRIMARY KEY, b)");
  Same("CREATE TABLE IF NOT EXISTS t(other)");
  Same("INSERT INTO t VALUES(1, 'x'), (2, 'y')");
  Same("CREATE TABLE copied AS SELECT *, random() AS r FROM t");
  Same("CREATE INDEX i ON t(b) WHERE b IS NOT NULL");
  Same("ALTER TABLE t ADD COLUMN c DEFAULT 42");
  Same("UPDATE t SET b = 'z' WHERE a = 1");
  Same("ALTER TABLE t RENAME COLUMN b TO bb");
  Same("ALTER TABLE t DROP COLUMN c; ALTER TABLE t RENAME TO u; INSERT INTO u VALUES(3, 'w')");
  Same("ANALYZE; REINDEX");
  Same("PRAGMA user_version = 7; PRAGMA application_id = 9");
  Same("DROP TABLE IF EXISTS nope; DROP TABLE copied");
  Same("CREATE TEMP TABLE tt(a); INSERT INTO tt VALUES(1); DROP TABLE tt");
  Same("BEGIN; DROP TABLE u; CREATE TABLE u(q); INSERT INTO u VALUES(5); COMMIT");
}

TEST_F(CaptureTest, Sequences) {
  Same("CREATE TABLE q(id INTEGER PRIMARY KEY AUTOINCREMENT, k UNIQUE)");
  Same("INSERT INTO q(k) VALUES('a'), ('b')");
  Same("DELETE FROM q WHERE k = 'b'");
  Same("INSERT OR IGNORE INTO q VALUES(100, 'a')");  // moves the sequence, and nothing else
  Same("UPDATE sqlite_sequence SET seq = 500");
  Same("ALTER TABLE q RENAME TO r");
  Same("INSERT INTO r(k) VALUES('c')");
  Same("DELETE FROM sqlite_sequence");
  Same("DROP TABLE r");
}

TEST_F(CaptureTest, RefusedWithAReason) {
  Same("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  Refused("VACUUM", "renumbers the rows");
  Refused("CREATE VIRTUAL TABLE f USING fts5(a)", "use the mode over storage nodes");
  Refused("PRAGMA optimize", "use ANALYZE");
  Refused("PRAGMA journal_mode = DELETE", "changes the file");
  Refused("CREATE TABLE h(rowid, _rowid_, oid)", "hide its row ids");
  Refused("BEGIN; CREATE TABLE h(rowid, _rowid_, oid)", "hide its row ids");
  Same("ANALYZE");
  Refused("DELETE FROM sqlite_stat1", "cannot be edited");
  // Undone to before the refusal, the transaction may go on; undone to behind it, not.
  EXPECT_EQ(Run("BEGIN; INSERT INTO t VALUES(2); SAVEPOINT s"), "");
  EXPECT_THAT(Run("CREATE TABLE h(rowid, _rowid_, oid)"), HasSubstr("hide"));
  Run("SAVEPOINT z; ROLLBACK TO z");
  EXPECT_THAT(Run("COMMIT"), HasSubstr("hide"));
  Same("ROLLBACK TO s; COMMIT");
}

TEST_F(CaptureTest, ChangesAndRowidsStayTheUsers) {
  Same("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(5, 1), (6, 2)");
  EXPECT_EQ(sqlite3_changes64(source_.db()), 2);
  EXPECT_EQ(sqlite3_last_insert_rowid(source_.db()), 6);
}

TEST_F(CaptureTest, UndoneInReverse) {
  Same(
      "CREATE TABLE t(a, b UNIQUE); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;"
      "CREATE TABLE q(id INTEGER PRIMARY KEY AUTOINCREMENT, a)");
  Same(
      "INSERT INTO t VALUES(1, 1), (2, 2); INSERT INTO w VALUES('a', 1); INSERT INTO q VALUES(9, "
      "9)");
  Same("ALTER TABLE t ADD COLUMN c DEFAULT 'old'");
  const std::string before = DatabaseDigest(source_.db());
  history_.clear();
  Same("UPDATE t SET a = 5");
  Same("INSERT OR REPLACE INTO t VALUES(8, 1, NULL); REPLACE INTO w VALUES('a', 2)");
  Same("DELETE FROM t; UPDATE w SET k = 'z'; INSERT INTO q(a) VALUES(1)");
  for (auto it = history_.rbegin(); it != history_.rend(); ++it) ASSERT_OK(copy_.Undo(*it));
  std::string after = DatabaseDigest(copy_.db());
  // All but the position is as it was, and that says so.
  EXPECT_EQ(after, before);
}

TEST_F(CaptureTest, ACopyThatDiffersIsNoticed) {
  Same("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 1)");
  const auto apply = [&](const std::string& sql) {
    source_.Run(sql);
    return copy_.Apply(source_.TakeTransactions().front());
  };
  sqlite3_exec(copy_.db(), "DELETE FROM t", nullptr, nullptr, nullptr);
  EXPECT_THAT(apply("UPDATE t SET a = 2"), StatusIs(absl::StatusCode::kDataLoss));
  sqlite3_exec(copy_.db(), "INSERT INTO t VALUES(7, 7)", nullptr, nullptr, nullptr);
  EXPECT_THAT(apply("INSERT INTO t VALUES(7, 1)"), StatusIs(absl::StatusCode::kDataLoss));
  sqlite3_exec(copy_.db(), "CREATE TABLE u(a, b)", nullptr, nullptr, nullptr);
  EXPECT_FALSE(apply("CREATE TABLE u(a)").ok());
  EXPECT_THAT(apply("INSERT INTO u VALUES(1)"), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace sextant::binlog
