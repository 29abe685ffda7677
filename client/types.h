// What goes into SQL requests and comes out of them, in plain C++.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace sextant::client {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
// NULL, integer, real, text, blob.
using Value = std::variant<std::monostate, int64_t, double, std::string, Blob>;
using Row = std::vector<Value>;
// For people: NULL as "NULL", a blob as its bytes.
std::string ToText(const Value& value);

struct Statement {
  std::string sql;
  std::vector<Value> parameters = {};  // ?1, ?2, ...
  bool is_script = false;              // any number of statements; no parameters
};

struct Request {
  std::vector<Statement> statements;
  bool is_atomic = false;  // all of them in one transaction
  absl::Duration timeout;  // for the write ticket and the commit; zero: the server's default
  // Time travel, at most one of them: read as of the newest commit at or below this LSN, or durable
  // at this time. Nothing may be written.
  std::optional<uint64_t> as_of_lsn = {};
  std::optional<absl::Time> as_of_time = {};
};

struct Result {
  std::vector<std::string> columns;
  std::vector<Row> rows;
  int64_t changes = 0;
  int64_t last_insert_rowid = 0;
};
struct Reply {
  std::vector<Result> results;  // one a statement
  uint64_t lsn = 0;       // of the last commit, or of the snapshot that was read: an LSN token
  uint64_t snapshot = 0;  // with as_of: the commit that was read at
  bool in_transaction = false;

  // Of the last statement that returned any.
  const std::vector<Row>& rows() const;
};

}  // namespace sextant::client
