// Values into and out of prepared statements: parameters, and the results of one request so far.
#pragma once

#include <sqlite3.h>

#include <vector>

#include "absl/status/status.h"
#include "compute-node/sql/types.h"

namespace sextant::sql {

// INVALID_ARGUMENT: too many or too few parameters, or a name that the statement does not have.
absl::Status BindParameters(const Statement& statement, sqlite3_stmt* stmt);

// Collects StatementResults, and cuts them where a response is full.
class ResultBuilder {
 public:
  void BeginStatement();
  // The row that `stmt` stands on.
  void AddRow(sqlite3_stmt* stmt);
  // The statement is done; says what it changed.
  void EndStatement(sqlite3_stmt* stmt, int64_t changes, int64_t last_insert_rowid);
  // Forgets what the statement under way has given: it is run again.
  void RestartStatement();
  // Forgets everything.
  void Clear();

  // Since results were last taken.
  size_t rows() const { return rows_; }
  size_t bytes() const { return bytes_; }  // about

  // All of it; the statement under way continues in the next response.
  std::vector<StatementResult> TakeChunk();
  // All of it, when no statement is under way.
  std::vector<StatementResult> TakeAll();

 private:
  void DescribeColumns(sqlite3_stmt* stmt);

  std::vector<StatementResult> results_;
  bool is_described_ = false;
  size_t rows_ = 0;
  size_t bytes_ = 0;
};

}  // namespace sextant::sql
