// RequestRun: one request on one session, from its first statement to its last response.
//
// A coroutine, so that waiting holds no thread. It takes the write ticket BEFORE a statement that
// writes (then SQLite's own lock never fails), lets it go as soon as the commit is appended, and
// sends nothing before VDL has reached whatever the statements read at or wrote: no client sees
// data that could still be lost. Nor does it send what was read from this node's pages before it is
// proven that no other writer had taken over when the request came in.
//
// Thread-safety: none; runs on one thread at a time, SQL only on the executor's pool.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "compute-node/sql/async.h"
#include "compute-node/sql/session.h"
#include "compute-node/sql/statement_io.h"
#include "compute-node/sql/statement_text.h"
#include "compute-node/sql/types.h"

namespace sextant::sql {

struct SqlOptions;

class RequestRun {
 public:
  RequestRun(Session& session, Request request, std::shared_ptr<ResponseSink> sink);

  // Call once, on the pool.
  Task<void> Run();

 private:
  using Clock = std::chrono::steady_clock;
  // Whether a statement gives a result of its own, or is ours (the BEGIN of an atomic request).
  enum class Shown { kYes, kNo };

  // Every Task<bool> says whether to go on; false: error_ is set, or the client is gone.
  Task<bool> RunStatements();
  Task<bool> RunAll();
  Task<bool> RunAtomic();
  Task<bool> RunStatement(const Statement& statement);
  Task<bool> RunScript(const Statement& statement);
  Task<bool> RunBegin(Begin begin, Shown shown);
  Task<bool> RunControl(const char* sql, Shown shown);
  Task<bool> Execute(sqlite3_stmt* stmt, Shown shown);
  Task<bool> StepToEnd(sqlite3_stmt* stmt);
  Task<bool> PrepareToRunAgain();
  Task<bool> PrepareToWrite();
  Task<bool> TakeTicket();
  Task<bool> BackOff();
  bool GoBack();
  Task<bool> AwaitMinLsn();
  // These go on on `resume_on`, or where the volume calls back.
  Task<absl::Status> AwaitDurable(Lsn lsn, WorkerPool* resume_on);
  // Until what was read and written may be shown.
  Task<absl::Status> AwaitPresentable(WorkerPool* resume_on);
  Task<bool> SendChunk();
  Task<bool> Send(Response response);
  Task<void> Finish();

  bool Fail(Error error);
  // Whether this statement may not write, here or now; error_ says why.
  bool RefusesWrite(sqlite3_stmt* stmt);
  Error NotTheWriter() const;
  bool FailWithSqlite(int code);
  bool IsWrite(sqlite3_stmt* stmt) const;
  bool CanSendNow(sqlite3_stmt* stmt) const;
  bool IsResponseFull() const;
  bool CheckBuffered();
  void Abandon(sqlite3_stmt* stmt);
  bool AllReadOnly();
  bool ShouldRunAgain(int code, sqlite3_stmt* stmt);
  void NoteCommit();
  void CheckOneShotEnd();
  Response MakeResponse(bool is_last);
  bool ShowsData() const;
  Error PresentError(const absl::Status& status) const;
  WorkerPool& pool() const;
  void CountWait(Clock::time_point since);
  Connection& connection() const { return session_.connection(); }
  sqlite3* db() const { return session_.connection().db(); }

  Session& session_;
  const Request request_;
  const std::shared_ptr<ResponseSink> sink_;
  const SqlOptions& options_;
  const absl::Duration timeout_;
  const size_t max_rows_;

  ResultBuilder results_;
  std::optional<Error> error_;
  size_t statement_index_ = 0;
  bool is_client_gone_ = false;
  bool has_read_ = false;  // a statement read or wrote data: the reply waits for the position
  bool is_atomic_write_ = false;
  absl::Duration wait_left_;  // of timeout_; only waiting counts, not running
  absl::Duration backoff_;
  const bool is_in_past_;  // time travel
  Lsn snapshot_;           // to here
  // What was appended above it was appended after the request came in.
  const Lsn head_before_;
  bool is_current_ = false;             // this node was the writer after the request came in
  std::optional<size_t> first_commit_;  // the statement that committed first
};

}  // namespace sextant::sql
