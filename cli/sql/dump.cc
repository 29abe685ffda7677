// .dump: the database as SQL that makes it again, in the form of the sqlite3 shell.
#include "cli/sql/dot_commands.h"
#include "cli/sql/shell.h"
#include "cli/sql/statement_splitter.h"
#include "cli/sql/value_text.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

struct SchemaEntry {
  std::string name, type, sql;
};

absl::StatusOr<std::vector<SchemaEntry>> ReadSchema(Shell* shell, const std::string& sql,
                                                    const std::string& pattern) {
  std::vector<SchemaEntry> entries;
  RETURN_IF_ERROR(shell->runner().Query(sql, {pattern}, nullptr, [&](const v1::Row& row) {
    entries.push_back(
        {PlainText(row.values(0)), PlainText(row.values(1)), PlainText(row.values(2))});
  }));
  return entries;
}

// Columns that an INSERT gives values for: not the generated ones.
absl::StatusOr<std::string> ColumnList(Shell* shell, const std::string& table) {
  std::string columns;
  RETURN_IF_ERROR(shell->runner().Query(
      "SELECT name FROM pragma_table_info(?1)", {table}, nullptr, [&](const v1::Row& row) {
        columns += (columns.empty() ? "" : ",") + QuotedName(PlainText(row.values(0)));
      }));
  return columns;
}

absl::Status DumpRows(Shell* shell, const std::string& table) {
  ASSIGN_OR_RETURN(const std::string columns, ColumnList(shell, table));
  if (columns.empty()) return absl::OkStatus();
  PrintOptions print;
  print.mode = "insert";
  print.insert_table = table;
  ASSIGN_OR_RETURN(const std::unique_ptr<RowPrinter> printer, MakeRowPrinter(print, &shell->out()));
  return shell->runner().Query(Text("SELECT ", columns, " FROM ", QuotedName(table)), {}, nullptr,
                               [&](const v1::Row& row) { printer->Row(row); });
}

std::string Quoted(const std::string& text) {
  v1::SqlValue value;
  value.set_text(text);
  return SqlLiteral(value);
}

absl::Status DumpTable(Shell* shell, const SchemaEntry& table, bool* is_schema_writable) {
  if (table.name == "sqlite_sequence") {
    shell->out() << "DELETE FROM sqlite_sequence;\n";
  } else if (table.name.compare(0, 11, "sqlite_stat") == 0) {
    shell->out() << "ANALYZE sqlite_schema;\n";
  } else if (table.name.compare(0, 7, "sqlite_") == 0) {
    return absl::OkStatus();
  } else if (BeginsWith(table.sql, "create") &&
             table.sql.compare(0, 20, "CREATE VIRTUAL TABLE") == 0) {
    if (!*is_schema_writable) shell->out() << "PRAGMA writable_schema=ON;\n";
    *is_schema_writable = true;
    shell->out() << "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table',"
                 << Quoted(table.name) << "," << Quoted(table.name) << ",0," << Quoted(table.sql)
                 << ");\n";
    return absl::OkStatus();  // its rows are in its shadow tables
  } else if (table.sql.compare(0, 14, "CREATE TABLE '") == 0 ||
             table.sql.compare(0, 14, "CREATE TABLE \"") == 0) {
    shell->out() << "CREATE TABLE IF NOT EXISTS " << table.sql.substr(13) << ";\n";
  } else {
    shell->out() << table.sql << ";\n";
  }
  return DumpRows(shell, table.name);
}

}  // namespace

absl::Status DumpDatabase(Shell* shell, const std::string& table_pattern) {
  shell->out() << "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n";
  ASSIGN_OR_RETURN(const std::vector<SchemaEntry> tables,
                   ReadSchema(shell,
                              "SELECT name, type, sql FROM sqlite_schema WHERE name LIKE ?1 "
                              "AND type = 'table' AND sql IS NOT NULL "
                              "ORDER BY tbl_name = 'sqlite_sequence', rowid",
                              table_pattern));
  bool is_schema_writable = false;
  for (const SchemaEntry& table : tables) {
    RETURN_IF_ERROR(DumpTable(shell, table, &is_schema_writable));
  }
  ASSIGN_OR_RETURN(const std::vector<SchemaEntry> others,
                   ReadSchema(shell,
                              "SELECT name, type, sql FROM sqlite_schema WHERE name LIKE ?1 "
                              "AND type IN ('index','trigger','view') AND sql IS NOT NULL "
                              "ORDER BY rowid",
                              table_pattern));
  for (const SchemaEntry& other : others) shell->out() << other.sql << ";\n";
  if (is_schema_writable) shell->out() << "PRAGMA writable_schema=OFF;\n";
  shell->out() << "COMMIT;\n";
  return absl::OkStatus();
}

}  // namespace sextant::cli
