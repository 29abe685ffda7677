// From SQLite's result codes, and the volume's reasons behind them, to the error a client gets.
#pragma once

#include <sqlite3.h>

#include "compute-node/sql/connection.h"
#include "compute-node/sql/types.h"

namespace sextant::sql {

// The error that the connection's last call left: `code` is what that call returned. Takes the
// file's and the connection's notes about it.
Error ErrorFromSqlite(Connection& connection, int code);

// The volume failed under the statement: the code comes from VolumeFile, and tells nothing of data.
bool IsFileFailure(int sqlite_code);

// An error that is not SQLite's; outcome: not committed.
Error ErrorFromStatus(const absl::Status& status, bool is_retriable);

}  // namespace sextant::sql
