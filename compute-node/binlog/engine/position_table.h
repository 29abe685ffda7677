// The internal table that says, in the data itself, through which transaction the data goes.
//
// It is written in the same local transaction as the data, so the two cannot disagree after a
// crash. The write goes by SQLite's incremental blob interface, which leaves changes() and
// last_insert_rowid() to the user's statements.
#pragma once

#include <sqlite3.h>

#include <string_view>

#include "absl/status/statusor.h"
#include "compute-node/binlog/log/gtid.h"

namespace sextant::binlog {

inline constexpr std::string_view kPositionTable = "_sextant_position";

// Makes the table where there is none, at "before the first transaction".
absl::Status CreatePositionTable(sqlite3* db);
// Inside an open write transaction.
absl::Status WritePosition(sqlite3* db, Gtid gtid);
// {0, 0}: nothing yet. DATA_LOSS: the table holds nonsense.
absl::StatusOr<Gtid> ReadPosition(sqlite3* db);

}  // namespace sextant::binlog
