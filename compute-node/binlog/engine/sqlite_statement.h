// Prepared statements and values for code that runs SQL of its own beside the sessions'.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compute-node/binlog/log/event.h"

namespace sextant::binlog {

struct FinalizeStatement {
  void operator()(sqlite3_stmt* stmt) const { sqlite3_finalize(stmt); }
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// UNAVAILABLE, with SQLite's words.
absl::Status SqliteError(sqlite3* db, std::string_view doing);
absl::StatusOr<StatementPtr> Prepare(sqlite3* db, const std::string& sql);
// Runs to the end; rows are dropped.
absl::Status Run(sqlite3* db, const std::string& sql);
// The first column of the first row as an integer; `otherwise` where there is no row.
absl::StatusOr<int64_t> QueryInteger(sqlite3* db, const std::string& sql, int64_t otherwise = 0);

// The value's bytes live as long as `value` does.
Value ToValue(sqlite3_value* value);
// `value` outlives the statement's next step.
int Bind(sqlite3_stmt* stmt, int index, const Value& value);
// "name" with its quotes doubled.
std::string Quoted(std::string_view name);
std::string_view ColumnText(sqlite3_stmt* stmt, int column);

}  // namespace sextant::binlog
