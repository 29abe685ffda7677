// SessionFile: what a session needs of the database behind its connection, whatever that is.
//
// Two kinds: a volume's (volume_file.h), where SQLite's own file calls mark transactions; and a
// plain SQLite file's (compute-node/binlog/engine), which needs to see each statement. Positions
// are LSNs there and transaction numbers here; a session only compares them.
//
// Thread-safety: none; a connection is used by one thread at a time.
#pragma once

#include <sqlite3.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/log/lsn.h"

namespace sextant::sql {

class SessionFile {
 public:
  virtual ~SessionFile() = default;

  // While set, transactions start at the newest state and may write; without it writing is refused.
  virtual void SetHoldsTicket(bool holds) = 0;
  // The newest position that this connection read at or committed: its token, and what a reply
  // waits for. It never reads below it again, until it is forgotten for another user of the
  // connection.
  virtual Lsn position() const = 0;
  virtual void ForgetPosition() = 0;
  virtual Lsn last_commit() const = 0;
  // Time travel: from now on transactions read the newest commit at or below `lsn`, or durable at
  // `time` (one of the two), which is returned; until ReadNewest(). Only outside a transaction.
  // OUT_OF_RANGE: too old, or not there yet.
  virtual absl::StatusOr<Lsn> ReadAsOf(std::optional<Lsn> /*lsn*/,
                                       std::optional<absl::Time> /*time*/) {
    return absl::OutOfRangeError("this database keeps no past states: read the newest");
  }
  virtual void ReadNewest() {}
  // Why the last call failed, once; OK when nothing failed since.
  virtual absl::Status TakeError() = 0;

  // What SQLite said of the last statement that failed, where it has been asked other things since;
  // empty: it still says so.
  virtual std::string TakeMessage() { return {}; }

  // --- around each statement
  // Before it is stepped. An error: it must not be.
  virtual absl::Status BeginStatement(sqlite3_stmt*) { return absl::OkStatus(); }
  // After it was reset; `*rc` is what that said, and may be changed, as by a commit that follows.
  // `is_abandoned`: nobody wants it any more; what it did by itself must not be committed. An
  // error: what it did cannot stand, whatever `*rc` says.
  virtual absl::Status EndStatement(sqlite3_stmt*, bool /*is_abandoned*/, int* /*rc*/) {
    return absl::OkStatus();
  }
  // Whether the open transaction is the running statement's alone, and ends with it.
  virtual bool is_statement_alone() const { return false; }
  // As sqlite3_set_authorizer: whether SQL may do this; false leaves its reason for TakeError().
  virtual bool MayDo(int /*action*/, const char* /*first*/, const char* /*second*/,
                     const char* /*database*/) {
    return true;
  }
};

}  // namespace sextant::sql
