// TableShape: how a table's rows are found and carried; the SQL that replays them.
#pragma once

#include <sqlite3.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sextant::binlog {

struct ImageColumn {
  std::string name;
  int hook_index = 0;   // what sqlite3_preupdate_old and _new call it
  bool is_key = false;  // of a WITHOUT ROWID table's primary key
  // Has a default that is not NULL. Rows from before ALTER TABLE ADD COLUMN do not hold the column,
  // and SQLite's hook shows NULL for it then (until 3.44) where a query shows the default.
  bool has_default = false;
};

struct TableShape {
  std::string name;
  bool has_rowid = true;
  std::string rowid_name;  // a name of the rowid that no column hides
  std::vector<ImageColumn> columns;
  bool has_sequence = false;  // AUTOINCREMENT

  std::string InsertSql() const;  // [rowid], columns
  std::string UpdateSql() const;  // [rowid], columns; then the key: rowid, or the key's columns
  std::string DeleteSql() const;  // the key
  // All columns of one row, by its key.
  std::string SelectSql() const;
  // [rowid], columns of all rows.
  std::string ScanSql() const;
};

// NOT_FOUND: no such table in "main". FAILED_PRECONDITION: one that cannot be replicated exactly;
// the message says why and what to do.
absl::StatusOr<TableShape> ReadTableShape(sqlite3* db, std::string_view table);

}  // namespace sextant::binlog
