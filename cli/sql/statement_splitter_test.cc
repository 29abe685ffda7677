// Splitting, held against sqlite3_complete().
#include "cli/sql/statement_splitter.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <vector>

#include "common/base/prng.h"

namespace sextant::cli {
namespace {

std::vector<std::string> Split(std::string_view text) {
  StatementSplitter splitter;
  splitter.Feed(text);
  std::vector<std::string> statements;
  while (auto statement = splitter.Next()) {
    statements.push_back(std::to_string(statement->line) + ":" + statement->text);
  }
  if (auto rest = splitter.Rest()) {
    statements.push_back(std::to_string(rest->line) + "~" + rest->text);
  }
  return statements;
}
using Strings = std::vector<std::string>;

TEST(StatementSplitterTest, SeveralOnALineAndOneOverLines) {
  EXPECT_EQ(Split("select 1; select 2;\nselect\n3;\nselect 4"),
            (Strings{"1:select 1;", "1:select 2;", "2:select\n3;", "4~select 4"}));
}

TEST(StatementSplitterTest, SemicolonsInStringsNamesAndComments) {
  EXPECT_EQ(Split("select ';', \"a;b\", `c;`, [d;'] -- ;'\n, /* ;' */ 'it''s;';"),
            (Strings{"1:select ';', \"a;b\", `c;`, [d;'] -- ;'\n, /* ;' */ 'it''s;';"}));
}

TEST(StatementSplitterTest, LeadingCommentsAndEmptyStatementsAreDropped) {
  EXPECT_EQ(Split(" ;; -- a\n/* b\n */ ; select 1 /* c */;\n-- end\n"),
            (Strings{"3:select 1 /* c */;"}));
}

TEST(StatementSplitterTest, TriggersEndAtEnd) {
  const std::string trigger =
      "create temp trigger t after insert on a begin select case 1 when 1 then 2 end; "
      "select 'end;'; end;";
  EXPECT_EQ(Split(trigger + " select 1;"), (Strings{"1:" + trigger, "1:select 1;"}));
}

TEST(StatementSplitterTest, KnowsWhetherItIsInsideAStatement) {
  StatementSplitter splitter;
  EXPECT_FALSE(splitter.IsInsideStatement());
  splitter.Feed("-- comment\n  \n");
  EXPECT_FALSE(splitter.IsInsideStatement());
  splitter.Feed("/* begun\n");
  EXPECT_TRUE(splitter.IsInsideStatement());
  splitter.Feed("*/ select 'a\n");
  EXPECT_TRUE(splitter.IsInsideStatement());
  splitter.Feed("';\n");
  EXPECT_FALSE(splitter.IsInsideStatement());
  EXPECT_EQ(splitter.lines(), 5);
}

TEST(StatementSplitterTest, AgreesWithSqliteOnRandomText) {
  const char* pieces[] = {"create ", "temp ", "trigger ", "begin ", "end", "end ",    ";",
                          " ",       "\n",    "'",        "''",     "\"",  "`",       "[",
                          "]",       "-- x",  "/*",       "*/",     "a",   "select ", "explain ",
                          "query ",  "1+1",   "-",        "/",      "*"};
  Prng prng(7);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (uint64_t i = prng.Between(1, 12); i > 0; --i) {
      text += pieces[prng.Below(std::size(pieces))];
    }
    text += "\n";  // as lines come
    StatementSplitter splitter;
    splitter.Feed(text);
    bool has_any = false;
    while (splitter.Next()) has_any = true;
    const bool is_complete = has_any && !splitter.IsInsideStatement();
    if (has_any) {
      ASSERT_EQ(is_complete, sqlite3_complete(text.c_str()) != 0) << text;
    }
  }
}

}  // namespace
}  // namespace sextant::cli
