// What statements may do, by their words.
#include "client/statement_kind.h"

#include <gtest/gtest.h>

namespace sextant::client {
namespace {

TEST(KindOf, ReadsMayGoAnywhere) {
  for (const char* sql :
       {"SELECT 1", " \n-- DELETE it\n/* DROP */ select 'insert'", "values(1)", "EXPLAIN DELETE FROM t",
        "WITH a AS (SELECT 1) SELECT * FROM a", "PRAGMA table_info(t)", "", "SAVEPOINT a"}) {
    EXPECT_FALSE(KindOf(sql, false).may_change) << sql;
    EXPECT_FALSE(KindOf(sql, false).needs_writer) << sql;
    EXPECT_FALSE(KindOf(sql, false).may_commit) << sql;
  }
}

TEST(KindOf, WritesNeedTheWriter) {
  for (const char* sql : {"INSERT INTO t VALUES(1)", "create table t(a)", "VACUUM",
                          "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
                          "PRAGMA user_version = 3", "selectt"}) {
    EXPECT_TRUE(KindOf(sql, false).may_change) << sql;
    EXPECT_TRUE(KindOf(sql, false).needs_writer) << sql;
  }
}

TEST(KindOf, TransactionsBeginAtTheWriterUnlessTheyOnlyRead) {
  EXPECT_TRUE(KindOf("BEGIN", false).needs_writer);
  EXPECT_FALSE(KindOf("BEGIN", false).may_change);
  EXPECT_FALSE(KindOf("BEGIN TRANSACTION READ ONLY", false).needs_writer);
  EXPECT_TRUE(KindOf("COMMIT", false).may_commit);
  EXPECT_TRUE(KindOf("COMMIT", false).may_change);
  EXPECT_FALSE(KindOf("ROLLBACK", false).may_commit);
  EXPECT_FALSE(KindOf("ROLLBACK", false).may_change);
}

TEST(KindOf, ScriptsAreReadWordByWord) {
  EXPECT_FALSE(KindOf("SELECT 1; SELECT 2", true).may_change);
  EXPECT_FALSE(KindOf("BEGIN READ ONLY; SELECT 1", true).needs_writer);
  EXPECT_TRUE(KindOf("BEGIN; SELECT 1", true).needs_writer);
  EXPECT_TRUE(KindOf("SELECT 1; UPDATE t SET a = 1", true).may_change);
  EXPECT_TRUE(KindOf("SELECT 1; COMMIT", true).may_commit);
  EXPECT_FALSE(KindOf("UPDATE t SET a = 1", true).may_commit);
}

}  // namespace
}  // namespace sextant::client
