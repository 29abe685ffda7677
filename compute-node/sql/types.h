// What a SQL request and its answers are, apart from any wire format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/log/lsn.h"

namespace sextant::sql {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
// NULL, integer, real, text, blob.
using Value = std::variant<std::monostate, int64_t, double, std::string, Blob>;
using Row = std::vector<Value>;

struct Statement {
  std::string sql;
  std::vector<Value> parameters;                                // ?1, ?2, ...
  std::vector<std::pair<std::string, Value>> named_parameters;  // with or without ":", "@", "$"
  bool is_script = false;  // any number of statements, separated by semicolons; no parameters
};

struct Request {
  uint64_t id = 0;  // echoed
  std::vector<Statement> statements;
  bool is_atomic = false;            // one transaction around all of them
  absl::Duration timeout;            // for write ticket and commit together; zero: the default
  Lsn min_lsn;                       // answer at this read point or above
  size_t max_rows_per_response = 0;  // 0: the default
  // Read as of then; at most one.
  std::optional<Lsn> as_of_lsn;
  std::optional<absl::Time> as_of_time;
};

struct Column {
  std::string name;
  std::string declared_type;  // empty for an expression
};
struct StatementResult {
  std::vector<Column> columns;
  std::vector<Row> rows;
  int64_t changes = 0;
  int64_t last_insert_rowid = 0;
  bool is_continuation = false;  // more rows of the last result sent before
};

enum class Outcome {
  kNotCommitted,  // nothing of the statement or transaction took effect
  kUnknown,       // the commit was sent and may yet become durable
};
// Where a compute node is reached.
struct NodeAddress {
  std::string node;
  std::string address;  // HOST:PORT
};
struct Error {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  int sqlite_code = 0;  // extended; 0 when it is not SQLite's error
  std::string message;
  Outcome outcome = Outcome::kNotCommitted;
  bool is_retriable = false;  // the same request may succeed later, unchanged
  size_t statement_index = 0;
  bool is_nothing_done = false;       // nor by the statements before, for this node only reads
  std::optional<NodeAddress> writer;  // who writes then
};

struct Response {
  uint64_t id = 0;
  std::vector<StatementResult> results;
  std::optional<Error> error;
  Lsn position;  // the session's LSN token: its last commit, or the snapshot it read
  bool in_transaction = false;
  bool is_last = false;
  Lsn snapshot;  // with as_of: the commit that was read at
};

}  // namespace sextant::sql
