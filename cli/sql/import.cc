// .import: rows of a CSV file into a table, made first where it does not exist.
#include <fstream>

#include "cli/sql/csv_reader.h"
#include "cli/sql/dot_commands.h"
#include "cli/sql/shell.h"
#include "cli/sql/value_text.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

// Rows between COMMITs: one transaction for a large file would be one mini-transaction beyond
// bounds.
constexpr int kRowsPerTransaction = 5000;

using Fields = std::vector<std::string>;

absl::StatusOr<int> CountColumns(Shell* shell, const std::string& table) {
  int count = 0;
  RETURN_IF_ERROR(shell->runner().Query(
      "SELECT count(*) FROM pragma_table_info(?1)", {table}, nullptr,
      [&](const v1::Row& row) { count = static_cast<int>(row.values(0).integer()); }));
  return count;
}

absl::Status CreateTable(Shell* shell, const std::string& table, const Fields& names) {
  std::string sql = Text("CREATE TABLE ", QuotedName(table), "(");
  for (size_t i = 0; i < names.size(); ++i) {
    sql += Text(i > 0 ? ", " : "", QuotedName(names[i]), " TEXT");
  }
  return shell->runner().Query(sql + ")", {}, nullptr, [](const v1::Row&) {});
}

std::string InsertSql(const std::string& table, int columns) {
  std::string sql = Text("INSERT INTO ", QuotedName(table), " VALUES(?");
  for (int i = 1; i < columns; ++i) sql += ",?";
  return sql + ")";
}

void AddPlain(Shell* shell, const char* sql, const std::string& place) {
  QueuedStatement statement;
  statement.sql.set_sql(sql);
  statement.place = place;
  shell->runner().Add(std::move(statement));
}

// Queues the insert of one record; missing fields are NULL, surplus ones are dropped, both with a
// word.
void AddRow(Shell* shell, const std::string& sql, int columns, const Fields& fields,
            const std::string& place) {
  const int found = static_cast<int>(fields.size());
  if (found != columns) {
    shell->err() << place << ": expected " << columns << " columns but found " << found << " - "
                 << (found < columns ? "filling the rest with NULL" : "extras ignored")
                 << std::endl;
  }
  QueuedStatement statement;
  statement.sql.set_sql(sql);
  statement.place = place;
  for (int i = 0; i < columns; ++i) {
    v1::SqlValue* value = statement.sql.add_parameters();
    if (i < found) {
      value->set_text(fields[static_cast<size_t>(i)]);
    } else {
      value->set_null(true);
    }
  }
  shell->runner().Add(std::move(statement));
}

}  // namespace

absl::Status ImportCsv(Shell* shell, const std::vector<std::string>& arguments) {
  Fields names;
  int skip = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--csv") continue;
    if (arguments[i] == "--skip" && i + 1 < arguments.size()) {
      skip = std::atoi(arguments[++i].c_str());
    } else {
      names.push_back(arguments[i]);
    }
  }
  if (names.size() != 2) return absl::InvalidArgumentError("usage: .import FILE TABLE ?--skip N?");
  const std::string& path = names[0];
  const std::string& table = names[1];
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(Text("cannot open ", path));
  CsvReader reader(&file);
  Fields fields;
  for (int i = 0; i < skip; ++i) reader.Next(&fields);
  ASSIGN_OR_RETURN(int columns, CountColumns(shell, table));
  if (columns == 0) {
    if (!reader.Next(&fields)) return absl::InvalidArgumentError(Text(path, " is empty"));
    RETURN_IF_ERROR(CreateTable(shell, table, fields));
    columns = static_cast<int>(fields.size());
  }
  const bool owns_transaction = !shell->runner().in_transaction();
  const std::string sql = InsertSql(table, columns);
  int rows = 0;
  while (!shell->runner().is_stopped() && reader.Next(&fields)) {
    const std::string place = Text(path, ":", reader.line());
    if (owns_transaction && rows++ % kRowsPerTransaction == 0) {
      if (rows > 1) AddPlain(shell, "COMMIT", place);
      AddPlain(shell, "BEGIN", place);
    }
    AddRow(shell, sql, columns, fields, place);
  }
  if (owns_transaction && rows > 0) AddPlain(shell, "COMMIT", path);
  shell->runner().Flush();
  return absl::OkStatus();
}

}  // namespace sextant::cli
