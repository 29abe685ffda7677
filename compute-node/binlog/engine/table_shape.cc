// See table_shape.h.
#include "compute-node/binlog/engine/table_shape.h"

#include <algorithm>

#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/sqlite_statement.h"

namespace sextant::binlog {
namespace {

// PRAGMA table_xinfo's "hidden".
enum Hidden { kPlain = 0, kVirtual = 2, kStored = 3 };

struct Described {
  std::string name;
  bool is_key = false;
  bool has_default = false;
  int hidden = kPlain;
  bool is_integer = false;
};

// 'text' with its quotes doubled.
std::string Literal(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted.push_back('\'');
    quoted.push_back(c);
  }
  quoted.push_back('\'');
  return quoted;
}

bool IsEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         sqlite3_strnicmp(a.data(), b.data(), static_cast<int>(a.size())) == 0;
}

absl::StatusOr<std::vector<Described>> Describe(sqlite3* db, std::string_view table) {
  ASSIGN_OR_RETURN(const StatementPtr stmt,
                   Prepare(db, Text("PRAGMA main.table_xinfo(", Quoted(table), ")")));
  std::vector<Described> columns;
  int rc = 0;
  while ((rc = sqlite3_step(stmt.get())) == SQLITE_ROW) {
    columns.push_back({.name = std::string(ColumnText(stmt.get(), 1)),
                       .is_key = sqlite3_column_int(stmt.get(), 5) > 0,
                       .has_default = sqlite3_column_type(stmt.get(), 4) != SQLITE_NULL &&
                                      !IsEqual(ColumnText(stmt.get(), 4), "null"),
                       .hidden = sqlite3_column_int(stmt.get(), 6),
                       .is_integer = IsEqual(ColumnText(stmt.get(), 2), "integer")});
  }
  if (rc != SQLITE_DONE) return SqliteError(db, Text("describing table ", table));
  if (columns.empty()) return absl::NotFoundError(Text("no table ", table));
  return columns;
}

absl::Status Refuse(std::string_view table, std::string_view why) {
  return absl::FailedPreconditionError(
      Text("table ", table, " cannot be replicated by rows: ", why));
}

// The column that is the rowid, by asking: a lone INTEGER PRIMARY KEY is, but for INTEGER PRIMARY
// KEY DESC. -1: none.
absl::StatusOr<int> FindRowidColumn(sqlite3* db, std::string_view table,
                                    const std::vector<Described>& columns) {
  int only_key = -1;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!columns[i].is_key) continue;
    if (only_key >= 0) return -1;
    only_key = static_cast<int>(i);
  }
  if (only_key < 0 || !columns[only_key].is_integer) return -1;
  // A primary key of its own has an index; the rowid has none.
  ASSIGN_OR_RETURN(const int64_t has_index,
                   QueryInteger(db, Text("SELECT count(*) FROM pragma_index_list(", Literal(table),
                                         ", 'main') WHERE origin = 'pk'")));
  return has_index > 0 ? -1 : only_key;
}

absl::StatusOr<std::string> FindRowidName(const std::vector<Described>& columns,
                                          std::string_view table) {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    const bool is_hidden = std::any_of(columns.begin(), columns.end(),
                                       [&](const Described& c) { return IsEqual(c.name, name); });
    if (!is_hidden) return std::string(name);
  }
  return Refuse(table,
                "columns named rowid, _rowid_ and oid hide its row ids; rename one, or declare an "
                "INTEGER PRIMARY KEY");
}

std::string Where(const TableShape& shape) {
  if (shape.has_rowid) return Text(" WHERE ", Quoted(shape.rowid_name), " = ?");
  std::string text;
  for (const ImageColumn& column : shape.columns) {
    if (!column.is_key) continue;
    text += Text(text.empty() ? " WHERE " : " AND ", Quoted(column.name), " = ?");
  }
  return text;
}

// "rowid, a, b" with `suffix` after each.
std::string List(const TableShape& shape, bool with_rowid, std::string_view suffix) {
  std::string text;
  const auto add = [&](std::string_view name) {
    text += Text(text.empty() ? "" : ", ", Quoted(name), suffix);
  };
  if (with_rowid && shape.has_rowid) add(shape.rowid_name);
  for (const ImageColumn& column : shape.columns) add(column.name);
  return text;
}

}  // namespace

std::string TableShape::InsertSql() const {
  const size_t count = columns.size() + (has_rowid ? 1 : 0);
  std::string marks = "?";
  for (size_t i = 1; i < count; ++i) marks += ", ?";
  return Text("INSERT INTO main.", Quoted(name), "(", List(*this, true, ""), ") VALUES(", marks,
              ")");
}
std::string TableShape::UpdateSql() const {
  return Text("UPDATE main.", Quoted(name), " SET ", List(*this, true, " = ?"), Where(*this));
}
std::string TableShape::DeleteSql() const {
  return Text("DELETE FROM main.", Quoted(name), Where(*this));
}
std::string TableShape::SelectSql() const {
  const std::string list = List(*this, false, "");
  return Text("SELECT ", list.empty() ? "1" : list, " FROM main.", Quoted(name), Where(*this));
}
std::string TableShape::ScanSql() const {
  return Text("SELECT ", List(*this, true, ""), " FROM main.", Quoted(name));
}

absl::StatusOr<TableShape> ReadTableShape(sqlite3* db, std::string_view table) {
  ASSIGN_OR_RETURN(const std::vector<Described> columns, Describe(db, table));
  ASSIGN_OR_RETURN(const int64_t is_without_rowid,
                   QueryInteger(db, Text("SELECT wr FROM pragma_table_list(", Literal(table),
                                         ") WHERE schema = 'main'")));
  TableShape shape{.name = std::string(table), .has_rowid = is_without_rowid == 0};
  int rowid_column = -1;
  if (shape.has_rowid) {
    ASSIGN_OR_RETURN(rowid_column, FindRowidColumn(db, table, columns));
    if (rowid_column >= 0) {
      shape.rowid_name = columns[rowid_column].name;
      int is_autoincrement = 0;
      sqlite3_table_column_metadata(db, "main", shape.name.c_str(), shape.rowid_name.c_str(),
                                    nullptr, nullptr, nullptr, nullptr, &is_autoincrement);
      shape.has_sequence = is_autoincrement != 0;
    } else {
      ASSIGN_OR_RETURN(shape.rowid_name, FindRowidName(columns, table));
    }
  }
  int stored = 0;  // the hook counts the columns that a record holds
  for (size_t i = 0; i < columns.size(); ++i) {
    const Described& column = columns[i];
    if (column.hidden == kVirtual) {
      if (!shape.has_rowid || static_cast<int>(i) < rowid_column) {
        return Refuse(table,
                      Text("the VIRTUAL generated column ", column.name,
                           shape.has_rowid ? " stands before its INTEGER PRIMARY KEY; declare it "
                                             "after, or as STORED"
                                           : " is in a WITHOUT ROWID table; declare it as STORED"));
      }
      continue;
    }
    const int hook_index = stored++;
    if (column.hidden == kStored || static_cast<int>(i) == rowid_column) continue;
    shape.columns.push_back({.name = column.name,
                             .hook_index = hook_index,
                             .is_key = !shape.has_rowid && column.is_key,
                             .has_default = column.has_default});
  }
  return shape;
}

}  // namespace sextant::binlog
