// See sql_error.h.
#include "compute-node/sql/sql_error.h"

#include <utility>

#include "common/base/text.h"

namespace sextant::sql {
namespace {

constexpr int kPrimaryMask = 0xff;

absl::StatusCode CodeOf(int sqlite_code) {
  if (sqlite_code == SQLITE_BUSY_SNAPSHOT) return absl::StatusCode::kAborted;
  if (sqlite_code == SQLITE_CONSTRAINT_UNIQUE || sqlite_code == SQLITE_CONSTRAINT_PRIMARYKEY ||
      sqlite_code == SQLITE_CONSTRAINT_ROWID) {
    return absl::StatusCode::kAlreadyExists;
  }
  switch (sqlite_code & kPrimaryMask) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kAborted;
    case SQLITE_NOMEM:
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_AUTH:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kUnavailable;
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kCancelled;
    case SQLITE_INTERNAL:
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kInvalidArgument;
  }
}

bool IsRetriable(absl::StatusCode code) {
  return code == absl::StatusCode::kAborted || code == absl::StatusCode::kUnavailable ||
         code == absl::StatusCode::kResourceExhausted;
}

}  // namespace

bool IsFileFailure(int sqlite_code) {
  switch (sqlite_code & kPrimaryMask) {
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_NOTADB:
      return true;
    default:
      return false;
  }
}

Error ErrorFromSqlite(Connection& connection, int sqlite_code) {
  const absl::Status note = connection.file().TakeError();
  const StopReason stop = connection.TakeStopReason();
  Error error;
  error.sqlite_code = sqlite_code;
  error.code = CodeOf(sqlite_code);
  error.message = connection.file().TakeMessage();
  if (error.message.empty()) error.message = sqlite3_errmsg(connection.db());
  if (!note.ok() && (IsFileFailure(sqlite_code) || sqlite_code == SQLITE_AUTH)) {
    error.code = note.code();
    error.message = Text(error.message, ": ", note.message());
    // A volume that is full stays full, a mini-transaction that is too large stays so.
    error.is_retriable = IsRetriable(note.code());
    return error;
  }
  if (stop == StopReason::kOutOfMemory) {
    error.code = absl::StatusCode::kResourceExhausted;
    error.message = "the statement needs more memory than a session may use: split it up";
    return error;
  }
  if (stop == StopReason::kCancelled) error.message = "cancelled: the client went away";
  error.is_retriable = (sqlite_code & kPrimaryMask) == SQLITE_BUSY;
  return error;
}

Error ErrorFromStatus(const absl::Status& status, bool is_retriable) {
  return {.code = status.code(),
          .message = std::string(View(status.message())),
          .is_retriable = is_retriable};
}

}  // namespace sextant::sql
