// RequestRun's way through one statement: prepare, ticket, step, and again where that may help.
#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "compute-node/sql/executor.h"
#include "compute-node/sql/request_run.h"
#include "compute-node/sql/sql_error.h"

namespace sextant::sql {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(1);
constexpr absl::Duration kLongestBackoff = absl::Milliseconds(50);

Error Invalid(std::string message) {
  return ErrorFromStatus(absl::InvalidArgumentError(message), /*is_retriable=*/false);
}

// BEGIN, COMMIT and the like show no data: their reply waits for nothing but a commit.
bool ReturnsData(sqlite3_stmt* stmt) {
  for (const char* keyword : {"BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK"}) {
    if (StartsWithKeyword(sqlite3_sql(stmt), keyword)) return false;
  }
  return true;
}

}  // namespace

Task<bool> RequestRun::RunStatement(const Statement& statement) {
  if (statement.is_script) {
    const bool ran = co_await RunScript(statement);
    co_return ran;
  }
  std::string_view text = statement.sql;
  if (const std::optional<Begin> begin = TakeBegin(&text); begin.has_value() && IsBlankSql(text)) {
    results_.BeginStatement();
    const bool has_begun = co_await RunBegin(*begin, Shown::kYes);
    co_return has_begun;
  }
  PreparedStatement prepared;
  const int rc = connection().statements().Prepare(statement.sql, &prepared);
  if (rc == SQLITE_MISUSE) {
    co_return Fail(
        Invalid("more than one statement in a text: send them one by one, or set script"));
  }
  if (rc != SQLITE_OK) co_return FailWithSqlite(rc);
  results_.BeginStatement();
  if (prepared.get() == nullptr) co_return true;  // comments only
  if (const absl::Status bound = BindParameters(statement, prepared.get()); !bound.ok()) {
    co_return Fail(ErrorFromStatus(bound, /*is_retriable=*/false));
  }
  const bool ok = co_await Execute(prepared.get(), Shown::kYes);
  co_return ok;
}

Task<bool> RequestRun::RunScript(const Statement& statement) {
  if (!statement.parameters.empty() || !statement.named_parameters.empty()) {
    co_return Fail(Invalid("a script takes no parameters: send its statements one by one"));
  }
  std::string_view rest = statement.sql;
  while (!IsBlankSql(rest)) {
    results_.BeginStatement();
    if (const std::optional<Begin> begin = TakeBegin(&rest); begin.has_value()) {
      const bool has_begun = co_await RunBegin(*begin, Shown::kYes);
      if (!has_begun) co_return false;
      continue;
    }
    PreparedStatement prepared;
    const int rc = connection().statements().PrepareNext(&rest, &prepared);
    if (rc != SQLITE_OK) co_return FailWithSqlite(rc);
    if (prepared.get() == nullptr) continue;
    if (const absl::Status bound = BindParameters(statement, prepared.get()); !bound.ok()) {
      co_return Fail(ErrorFromStatus(bound, /*is_retriable=*/false));
    }
    const bool ok = co_await Execute(prepared.get(), Shown::kYes);
    if (!ok) co_return false;
  }
  co_return true;
}

// A plain BEGIN writes: a transaction that reads first and takes the lock later would find its
// snapshot outdated more often than not.
Task<bool> RequestRun::RunBegin(Begin begin, Shown shown) {
  const bool is_read_only = begin.is_read_only || is_in_past_;
  const bool is_deferred = begin.is_deferred || is_read_only || options_.is_read_only;
  const bool ok = co_await RunControl(is_deferred ? "BEGIN" : "BEGIN IMMEDIATE", shown);
  if (ok) session_.SetReadOnly(is_read_only);
  co_return ok;
}

Task<bool> RequestRun::RunControl(const char* sql, Shown shown) {
  PreparedStatement prepared;
  if (const int rc = connection().statements().Prepare(sql, &prepared); rc != SQLITE_OK) {
    co_return FailWithSqlite(rc);
  }
  const bool ok = co_await Execute(prepared.get(), shown);
  co_return ok;
}

bool RequestRun::RefusesWrite(sqlite3_stmt* stmt) {
  if (!IsWrite(stmt)) return false;
  if (is_in_past_) return !Fail(Invalid("the past cannot be written: leave as_of out"));
  if (options_.is_read_only) return !Fail(NotTheWriter());
  if (!session_.is_read_only()) return false;
  return !Fail(Invalid("this transaction was begun READ ONLY: end it, then write"));
}

Error RequestRun::NotTheWriter() const {
  Error error{.code = absl::StatusCode::kFailedPrecondition, .is_nothing_done = true};
  if (options_.find_writer) error.writer = options_.find_writer();
  error.message =
      error.writer.has_value()
          ? Text("this node only reads: the writer is ", error.writer->node, " (",
                 error.writer->address, "), write there")
          : std::string("this node only reads, and knows of no writer now: ask the others");
  return error;
}

bool RequestRun::IsWrite(sqlite3_stmt* stmt) const {
  if (sqlite3_stmt_isexplain(stmt) != 0) return false;
  return sqlite3_stmt_readonly(stmt) == 0;
}

// Rows of a write that commits by itself must not leave before the commit is durable, and a write
// that is tried again must not have shown rows.
bool RequestRun::CanSendNow(sqlite3_stmt* stmt) const {
  if (sink_->is_one_shot() || is_atomic_write_) return false;
  if (sqlite3_stmt_readonly(stmt) != 0) return true;
  return connection().in_transaction() && !connection().file().is_statement_alone();
}

Task<bool> RequestRun::Execute(sqlite3_stmt* stmt, Shown shown) {
  backoff_ = kFirstBackoff;
  connection().file().TakeError().IgnoreError();  // of an earlier statement
  if (RefusesWrite(stmt)) co_return false;
  const int64_t changes_before = sqlite3_total_changes64(db());
  for (;;) {
    if (IsWrite(stmt)) {
      const bool may_write = co_await PrepareToWrite();
      if (!may_write) co_return false;
    }
    absl::Status refused = connection().file().BeginStatement(stmt);
    if (!refused.ok()) {
      session_.ReleaseTicketIfDone();
      co_return Fail(ErrorFromStatus(refused, /*is_retriable=*/false));
    }
    const bool stepped = co_await StepToEnd(stmt);
    int rc = sqlite3_reset(stmt);
    refused = connection().file().EndStatement(stmt, /*is_abandoned=*/!stepped, &rc);
    // A statement that could not read shows nothing but what it gave before.
    if (ReturnsData(stmt) && (!IsFileFailure(rc) || results_.rows() > 0)) has_read_ = true;
    NoteCommit();
    session_.ReleaseTicketIfDone();
    if (!stepped) co_return false;
    if (!refused.ok()) co_return Fail(ErrorFromStatus(refused, /*is_retriable=*/false));
    if (rc == SQLITE_OK) break;
    if (!ShouldRunAgain(rc, stmt)) co_return FailWithSqlite(rc);
    const bool will_run_again = co_await PrepareToRunAgain();
    if (!will_run_again) co_return error_.has_value() ? false : FailWithSqlite(rc);
    if (shown == Shown::kYes) results_.RestartStatement();
  }
  if (shown == Shown::kNo) co_return true;
  const bool has_changed = sqlite3_total_changes64(db()) != changes_before;
  results_.EndStatement(stmt, has_changed ? sqlite3_changes64(db()) : 0,
                        sqlite3_last_insert_rowid(db()));
  co_return true;
}

Task<bool> RequestRun::PrepareToRunAgain() {
  if (!session_.holds_ticket() && !connection().in_transaction()) {
    const bool has_ticket = co_await TakeTicket();
    if (!has_ticket) co_return false;
  }
  const bool has_waited = co_await BackOff();
  co_return has_waited;
}

// BUSY at a commit is back-pressure: nothing is lost, the same step may pass soon. BUSY without the
// ticket comes from the rare statement that writes though SQLite calls it read-only (PRAGMA
// optimize).
bool RequestRun::ShouldRunAgain(int code, sqlite3_stmt* stmt) {
  if (code != SQLITE_BUSY || session_.is_cancelled()) return false;
  const bool is_control_commit = !IsWrite(stmt) && connection().in_transaction();
  return is_control_commit || !connection().in_transaction();
}

// Steps until the end; rows go into results_. False: stopped by ourselves, error_ is set or the
// client is gone. SQLite's own errors come from the reset that follows.
Task<bool> RequestRun::StepToEnd(sqlite3_stmt* stmt) {
  while (sqlite3_step(stmt) == SQLITE_ROW) {
    results_.AddRow(stmt);
    if (!IsResponseFull()) continue;
    bool may_go_on = false;
    if (CanSendNow(stmt)) {
      may_go_on = co_await SendChunk();
    } else {
      may_go_on = CheckBuffered();
    }
    if (!may_go_on) {
      Abandon(stmt);
      co_return false;
    }
  }
  co_return true;
}

// Resetting a write in the middle of its RETURNING rows would commit it; interrupting it does not.
void RequestRun::Abandon(sqlite3_stmt* stmt) {
  if (!IsWrite(stmt) || connection().in_transaction()) return;
  sqlite3_interrupt(db());
  sqlite3_step(stmt);
}

bool RequestRun::IsResponseFull() const {
  return results_.rows() >= max_rows_ || results_.bytes() >= options_.max_response_bytes;
}

bool RequestRun::CheckBuffered() {
  if (results_.bytes() <= options_.max_buffered_bytes) return true;
  return Fail(ErrorFromStatus(
      absl::ResourceExhaustedError(Text(
          "the result is larger than ", options_.max_buffered_bytes,
          " bytes, and cannot be sent in parts: read it in a session, outside atomic requests")),
      /*is_retriable=*/false));
}

Task<bool> RequestRun::PrepareToWrite() {
  if (!session_.holds_ticket()) {
    const bool has_ticket = co_await TakeTicket();
    if (!has_ticket) co_return false;
  }
  for (;;) {
    const absl::Status room = session_.executor().engine().CheckWrite();
    if (room.ok()) co_return true;
    const bool is_full = absl::IsResourceExhausted(room);
    bool may_retry = is_full && !session_.is_cancelled();
    if (may_retry) may_retry = co_await BackOff();
    if (!may_retry) co_return Fail(ErrorFromStatus(room, is_full));
  }
}

Task<bool> RequestRun::TakeTicket() {
  compute::WriteTicketQueue& tickets = session_.executor().tickets();
  const Clock::time_point start = Clock::now();
  const absl::Duration patience = wait_left_;
  using Granted = absl::StatusOr<compute::WriteTicket>;
  Callback<Granted> granted(
      [&tickets, patience](Callback<Granted>::Done done) {
        tickets.Acquire(patience, std::move(done));
      },
      &pool());
  Granted ticket = co_await granted;
  CountWait(start);
  if (session_.is_cancelled()) {
    const absl::Status closed = session_.executor().why_closed();
    if (!closed.ok()) co_return Fail(ErrorFromStatus(closed, /*is_retriable=*/true));
    co_return Fail(ErrorFromStatus(absl::CancelledError("cancelled: the client went away"), false));
  }
  if (!ticket.ok()) {
    const std::string message =
        absl::IsDeadlineExceeded(ticket.status())
            ? Text("others were writing for ", absl::FormatDuration(timeout_),
                   ", nothing was changed: retry, or give a longer timeout")
            : std::string(View(ticket.status().message()));
    co_return Fail(ErrorFromStatus(absl::Status(ticket.status().code(), message), true));
  }
  session_.TakeTicket(*std::move(ticket));
  co_return true;
}

Task<bool> RequestRun::BackOff() {
  if (wait_left_ <= backoff_) co_return false;
  const Clock::time_point start = Clock::now();
  WorkerPool& timers = pool();
  const absl::Duration delay = backoff_;
  backoff_ = std::min(2 * backoff_, kLongestBackoff);
  Callback<bool> passed(
      [&timers, delay](Callback<bool>::Done done) {
        timers.After(delay, [done = std::move(done)] { done(true); });
      },
      nullptr);  // timers run on the pool
  co_await passed;
  CountWait(start);
  co_return true;
}

}  // namespace sextant::sql
