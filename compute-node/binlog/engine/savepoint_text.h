// What the capture reads of SQL text itself: the names of savepoints, and which kind of statement
// it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sextant::binlog {

struct SavepointStatement {
  enum Kind { kSavepoint, kRelease, kRollbackTo };
  Kind kind = kSavepoint;
  std::string name;  // without quotes, in lower case: SQLite compares names so
};
// SAVEPOINT, RELEASE and ROLLBACK TO; null: another statement.
std::optional<SavepointStatement> ParseSavepoint(std::string_view sql);

// The first `count` words in upper case, comments skipped, joined by one blank: "CREATE VIRTUAL".
std::string FirstWords(std::string_view sql, int count);

}  // namespace sextant::binlog
