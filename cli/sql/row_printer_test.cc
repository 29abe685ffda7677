// Printing, held byte for byte against the sqlite3 shell where it is installed; CSV reading; words.
#include "cli/sql/row_printer.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/sql/csv_reader.h"
#include "cli/sql/dot_commands.h"
#include "cli/sql/value_text.h"

namespace sextant::cli {
namespace {

constexpr char kTable[] =
    "create table t(a integer, b text, c real, d blob, \"e f\");\n"
    "insert into t values(1,'x',1.5,x'6162',null);\n"
    "insert into t values(-9223372036854775808,'it''s \"q\", ok',1e300,null,'tab\there');\n"
    "insert into t values(3,'',-0.0,x'00ff41',1e17);\n"
    "insert into t values(4,'a|b',0.1,x'',9e999);\n"
    "insert into t values(5,'\xc3\xa4\xe2\x82\xac \xf0\x9f\x98\x80',3.0,x'c3a4',-9e999);\n"
    "insert into t values(6,char(1,8,12,13,31,127),2.5e-8,zeroblob(3),123456789012345678);\n"
    "insert into t values(7,' lead',1.0/3,x'5c','back\\slash');\n";
constexpr char kMultiline[] =
    "insert into t values(8,'two'||char(10)||'lines',7.0,x'61','r'||char(13)||char(10));\n";
const char* const kQueries[] = {
    "select * from t;",
    "select a, b from t where a = 1;",
    "select 1 where 0;",
    "select c, c * 3, a / 2.0 from t;",
    "select 'caf\xc3\xa9' as \"n\xc3\xa4me\", null, 1.0, 100, 1e15, 1e16, 123456.789e3;",
};

v1::SqlValue ValueOf(sqlite3_stmt* statement, int column) {
  v1::SqlValue value;
  const auto bytes = [&] {
    const void* data = sqlite3_column_blob(statement, column);
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
    return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      value.set_integer(sqlite3_column_int64(statement, column));
      break;
    case SQLITE_FLOAT:
      value.set_real(sqlite3_column_double(statement, column));
      break;
    case SQLITE_TEXT:
      value.set_text(bytes());
      break;
    case SQLITE_BLOB:
      value.set_blob(bytes());
      break;
    default:
      value.set_null(true);
  }
  return value;
}

// What our printer makes of the query's rows.
std::string Ours(const std::string& schema, const std::string& query, const PrintOptions& options) {
  sqlite3* db = nullptr;
  sqlite3_open(":memory:", &db);
  EXPECT_EQ(sqlite3_exec(db, schema.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, query.c_str(), -1, &statement, nullptr), SQLITE_OK);
  std::ostringstream out;
  auto printer = MakeRowPrinter(options, &out);
  EXPECT_TRUE(printer.ok()) << printer.status();
  std::vector<std::string> columns;
  for (int i = 0; i < sqlite3_column_count(statement); ++i) {
    columns.push_back(sqlite3_column_name(statement, i));
  }
  (*printer)->Begin(columns);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    v1::Row row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      *row.add_values() = ValueOf(statement, i);
    }
    (*printer)->Row(row);
  }
  (*printer)->End();
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return out.str();
}

// What the sqlite3 shell prints.
std::string Theirs(const std::string& schema, const std::string& query,
                   const PrintOptions& options) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("sextant-rows-" + std::to_string(getpid())))
          .string();
  std::ofstream(path) << schema << ".mode " << options.mode << "\n"
                      << (options.headers ? ".headers on\n" : ".headers off\n") << query << "\n";
  FILE* pipe = popen(("sqlite3 :memory: < " + path).c_str(), "r");
  std::string text;
  char buffer[4096];
  for (size_t n = fread(buffer, 1, sizeof buffer, pipe); n > 0;
       n = fread(buffer, 1, sizeof buffer, pipe)) {
    text.append(buffer, n);
  }
  pclose(pipe);
  std::filesystem::remove(path);
  return text;
}

bool HasShell() { return system("command -v sqlite3 >/dev/null 2>&1") == 0; }

class AgainstSqliteTest : public testing::TestWithParam<const char*> {};

TEST_P(AgainstSqliteTest, PrintsTheSameBytes) {
  if (!HasShell()) GTEST_SKIP() << "the sqlite3 shell is not installed";
  PrintOptions options;
  options.mode = GetParam();
  if (options.mode == "csv") options.row_end = "\r\n";  // as Theirs() sets it, by .mode
  const std::string mode = options.mode;
  // The columnar modes show control characters in ways of their own, and line always shows names.
  const bool is_columnar =
      mode == "table" || mode == "box" || mode == "column" || mode == "markdown";
  const std::string schema = is_columnar ? std::string(kTable) +
                                               "delete from t where a in (3, 6) or b is null;"
                                               "update t set \"e f\" = 'x' where a < 0;\n"
                                         : std::string(kTable) + kMultiline;
  // Quote mode of SQLite 3.40 shows an infinity as Inf, which is no literal.
  const std::string extra = mode == "quote" ? "delete from t where a in (4, 5);\n" : "";
  for (const bool headers : {false, true}) {
    if (headers != is_columnar && is_columnar) continue;
    options.headers = headers;
    for (const char* query : kQueries) {
      EXPECT_EQ(Ours(schema + extra, query, options), Theirs(schema + extra, query, options))
          << query << headers;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, AgainstSqliteTest,
                         testing::Values("list", "csv", "json", "tabs", "quote", "line", "table",
                                         "box", "column", "markdown"),
                         [](const auto& info) { return std::string(info.param); });

TEST(RowPrinterTest, InsertModeKeepsRowsOnOneLine) {
  PrintOptions options;
  options.mode = "insert";
  options.insert_table = "order";
  EXPECT_EQ(
      Ours("", "select 'a'||char(10)||'b\\n', x'01', 1.5, null;", options),
      "INSERT INTO \"order\" VALUES(replace('a\\012b\\n','\\012',char(10)),X'01',1.5,NULL);\n");
}

TEST(RowPrinterTest, RefusesUnknownModes) {
  PrintOptions options;
  options.mode = "tabel";
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRowPrinter(options, nullptr).status()));
}

TEST(QuotedNameTest, QuotesWhatMustBe) {
  EXPECT_EQ(QuotedName("plain_1"), "plain_1");
  EXPECT_EQ(QuotedName("1st"), "\"1st\"");
  EXPECT_EQ(QuotedName("select"), "\"select\"");
  EXPECT_EQ(QuotedName("a\"b"), "\"a\"\"b\"");
}

TEST(CsvReaderTest, QuotesLineEndsAndEmptyFields) {
  std::istringstream text("a,b\r\n\"x, \"\"y\"\"\",\n\"two\nlines\",z\nlast");
  CsvReader reader(&text);
  std::vector<std::vector<std::string>> records;
  std::vector<int> lines;
  for (std::vector<std::string> fields; reader.Next(&fields);) {
    records.push_back(fields);
    lines.push_back(reader.line());
  }
  EXPECT_EQ(records, (std::vector<std::vector<std::string>>{
                         {"a", "b"}, {"x, \"y\"", ""}, {"two\nlines", "z"}, {"last"}}));
  EXPECT_EQ(lines, (std::vector<int>{1, 2, 3, 5}));
}

TEST(SplitWordsTest, QuotesAndEscapes) {
  EXPECT_EQ(SplitWords("mode  'a b' \"c\\td\" e\n"),
            (std::vector<std::string>{"mode", "a b", "c\td", "e"}));
}

}  // namespace
}  // namespace sextant::cli
