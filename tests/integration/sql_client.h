// SqlClient: a blocking client of SqlService for tests: one session, one statement at a time.
//
// Thread-safety: one thread at a time; each thread of a workload has its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::testing {

// Values as text; NULL as "NULL".
using TextRow = std::vector<std::string>;

struct SqlReply {
  std::vector<TextRow> rows;
  int64_t changes = 0;
  uint64_t commit_lsn = 0;
};

class SqlClient {
 public:
  explicit SqlClient(const std::string& endpoint);
  ~SqlClient();

  // Runs `sql`, a script of one or more statements; `atomic` makes them one transaction. Rows are
  // those of the last statement that returned any. A status whose message starts with "outcome
  // unknown" means that the commit was sent and may yet have become durable; so does a lost
  // connection (UNAVAILABLE).
  absl::StatusOr<SqlReply> Execute(const std::string& sql, bool atomic = false,
                                   absl::Duration timeout = absl::Seconds(60));
  // First column of the first row. The test's own mistake (no row) is INTERNAL.
  absl::StatusOr<std::string> QueryOne(const std::string& sql);

 private:
  struct Stream;
  absl::Status EnsureStream();

  std::string endpoint_;
  std::unique_ptr<Stream> stream_;
  uint64_t next_id_ = 1;
};

}  // namespace sextant::testing
