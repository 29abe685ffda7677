// SqlClient: one session with one node, and rows as text. client/ with what tests of a certain node
// want: no other node is looked for, and nothing is repeated for long.
//
// Thread-safety: one thread at a time; each thread of a workload has its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/session.h"

namespace sextant::testing {

// Values as text; NULL as "NULL".
using TextRow = std::vector<std::string>;

struct SqlReply {
  std::vector<TextRow> rows;
  int64_t changes = 0;
  uint64_t commit_lsn = 0;
};

// Runs `sql`, a script of one or more statements; `atomic` makes them one transaction. Rows are
// those of the last statement that returned any. client::IsOutcomeUnknown(status): the commit was
// sent and may yet have become durable.
absl::StatusOr<SqlReply> RunScript(client::Session& session, const std::string& sql,
                                   bool atomic = false, absl::Duration timeout = absl::Seconds(60));

class SqlClient {
 public:
  explicit SqlClient(const std::string& endpoint);

  absl::StatusOr<SqlReply> Execute(const std::string& sql, bool atomic = false,
                                   absl::Duration timeout = absl::Seconds(60)) {
    return RunScript(*session_, sql, atomic, timeout);
  }
  // First column of the first row. The test's own mistake (no row) is INTERNAL.
  absl::StatusOr<std::string> QueryOne(const std::string& sql);

 private:
  std::unique_ptr<client::Session> session_;
};

}  // namespace sextant::testing
