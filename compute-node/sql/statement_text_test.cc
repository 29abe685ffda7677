// The forms of BEGIN, and blanks.
#include "compute-node/sql/statement_text.h"

#include <gtest/gtest.h>

namespace sextant::sql {
namespace {

TEST(StatementTextTest, BeginInItsForms) {
  const auto take = [](std::string_view sql) { return TakeBegin(&sql); };
  EXPECT_FALSE(take("begin")->is_deferred);
  EXPECT_FALSE(take(" /* x */ BEGIN -- y\n TRANSACTION;")->is_read_only);
  EXPECT_TRUE(take("BEGIN DEFERRED TRANSACTION")->is_deferred);
  EXPECT_TRUE(take("BEGIN READ ONLY")->is_read_only);
  EXPECT_TRUE(take("BEGIN DEFERRED READ ONLY")->is_read_only);
  EXPECT_FALSE(take("BEGIN IMMEDIATE READ WRITE")->is_read_only);
  EXPECT_TRUE(take("BEGIN EXCLUSIVE").has_value());
  EXPECT_FALSE(take("BEGINNING").has_value());
  EXPECT_FALSE(take("BEGIN READ").has_value());
  EXPECT_FALSE(take("BEGIN WORK").has_value());
  EXPECT_FALSE(take("SELECT 1").has_value());
}

TEST(StatementTextTest, BeginIsTakenOffAScript) {
  std::string_view sql = "BEGIN; SELECT 1";
  ASSERT_TRUE(TakeBegin(&sql).has_value());
  EXPECT_EQ(sql, " SELECT 1");
}

TEST(StatementTextTest, BlanksAndKeywords) {
  EXPECT_TRUE(IsBlankSql(" ;; -- c\n/* d */;"));
  EXPECT_FALSE(IsBlankSql("; SELECT 1"));
  EXPECT_TRUE(StartsWithKeyword("--x\nrollback to s", "ROLLBACK"));
  EXPECT_FALSE(StartsWithKeyword("rollbacks", "ROLLBACK"));
}

}  // namespace
}  // namespace sextant::sql
