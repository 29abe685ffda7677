// See request_run.h. Which statements run, and what is answered; request_execute.cc runs one of
// them.
#include "compute-node/sql/request_run.h"

#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "compute-node/sql/executor.h"
#include "compute-node/sql/sql_error.h"

namespace sextant::sql {

namespace {

// Equal statements shall be equal texts: they are looked up in the statement cache.
Request Trimmed(Request request) {
  for (Statement& statement : request.statements) TrimSql(&statement.sql);
  return request;
}

}  // namespace

RequestRun::RequestRun(Session& session, Request request, std::shared_ptr<ResponseSink> sink)
    : session_(session),
      request_(Trimmed(std::move(request))),
      sink_(std::move(sink)),
      options_(session.executor().options()),
      timeout_(request_.timeout > absl::ZeroDuration() ? request_.timeout
                                                       : options_.default_timeout),
      max_rows_(request_.max_rows_per_response > 0 ? request_.max_rows_per_response
                                                   : options_.max_rows_per_response),
      wait_left_(timeout_),
      is_in_past_(request_.as_of_lsn.has_value() || request_.as_of_time.has_value()),
      head_before_(session.executor().engine().head()) {}

WorkerPool& RequestRun::pool() const { return session_.executor().pool(); }

void RequestRun::CountWait(Clock::time_point since) {
  wait_left_ = std::max(absl::ZeroDuration(), wait_left_ - absl::FromChrono(Clock::now() - since));
}

bool RequestRun::Fail(Error error) {
  error.statement_index = statement_index_;
  error_ = std::move(error);
  return false;
}

bool RequestRun::FailWithSqlite(int code) {
  const Error error = ErrorFromSqlite(connection(), code);
  const absl::Status closed = session_.executor().why_closed();
  // The node stopped the statement, not its client.
  if (code == SQLITE_INTERRUPT && !closed.ok()) return Fail(ErrorFromStatus(closed, true));
  return Fail(error);
}

Task<void> RequestRun::Run() {
  if (std::optional<Error> idle = session_.TakeIdleError(); idle.has_value()) {
    Fail(*std::move(idle));
  } else {
    co_await RunStatements();
  }
  CheckOneShotEnd();
  session_.ReleaseTicketIfDone();
  if (!connection().in_transaction()) connection().file().ReadNewest();
  co_await Finish();
}

Task<bool> RequestRun::RunStatements() {
  bool ok = co_await AwaitMinLsn();
  if (!ok) co_return false;
  if (is_in_past_ && !GoBack()) co_return false;
  if (request_.is_atomic) {
    ok = co_await RunAtomic();
  } else {
    ok = co_await RunAll();
  }
  co_return ok;
}

bool RequestRun::GoBack() {
  if (connection().in_transaction()) {
    return Fail(ErrorFromStatus(
        absl::InvalidArgumentError("a transaction is open, and stays where it began: end it, then "
                                   "read as of another time"),
        /*is_retriable=*/false));
  }
  const absl::StatusOr<Lsn> snapshot =
      connection().file().ReadAsOf(request_.as_of_lsn, request_.as_of_time);
  if (!snapshot.ok()) return Fail(ErrorFromStatus(snapshot.status(), /*is_retriable=*/false));
  snapshot_ = *snapshot;
  return true;
}

Task<bool> RequestRun::AwaitMinLsn() {
  if (request_.min_lsn <= session_.executor().engine().vdl()) co_return true;
  const absl::Status status = co_await AwaitDurable(request_.min_lsn, &pool());
  if (!status.ok()) {
    co_return Fail(ErrorFromStatus(
        absl::Status(status.code(), Text("this node has not reached LSN ", request_.min_lsn,
                                         " within ", absl::FormatDuration(timeout_), ": retry")),
        /*is_retriable=*/true));
  }
  if (sqlite3_txn_state(db(), "main") != SQLITE_TXN_NONE &&
      connection().file().position() < request_.min_lsn) {
    co_return Fail(ErrorFromStatus(
        absl::AbortedError(Text("the open transaction's snapshot is older than LSN ",
                                request_.min_lsn, ": end it, then ask again")),
        /*is_retriable=*/false));
  }
  co_return true;
}

Task<bool> RequestRun::RunAll() {
  for (const Statement& statement : request_.statements) {
    const bool ok = co_await RunStatement(statement);
    if (!ok) co_return false;
    ++statement_index_;
  }
  co_return true;
}

Task<bool> RequestRun::RunAtomic() {
  if (connection().in_transaction()) {
    co_return Fail(
        ErrorFromStatus(absl::InvalidArgumentError(
                            "an atomic request cannot run inside a transaction: end it first"),
                        /*is_retriable=*/false));
  }
  is_atomic_write_ = !AllReadOnly();
  bool ok = co_await RunBegin({.is_deferred = !is_atomic_write_}, Shown::kNo);
  if (ok) ok = co_await RunAll();
  if (ok && !connection().in_transaction()) {
    co_return Fail(ErrorFromStatus(
        absl::InvalidArgumentError("a statement of the atomic request ended its transaction: leave "
                                   "COMMIT and ROLLBACK out of it"),
        /*is_retriable=*/false));
  }
  if (ok) {
    statement_index_ = request_.statements.empty() ? 0 : request_.statements.size() - 1;
    ok = co_await RunControl("COMMIT", Shown::kNo);
  }
  if (!ok) {
    session_.RollBack();
    results_.Clear();
  }
  co_return ok;
}

bool RequestRun::AllReadOnly() {
  for (const Statement& statement : request_.statements) {
    if (statement.is_script) return false;
    PreparedStatement prepared;
    // What does not prepare may depend on an earlier statement, which is a write then.
    if (connection().statements().Prepare(statement.sql, &prepared) != SQLITE_OK) return false;
    if (prepared.get() != nullptr && IsWrite(prepared.get())) return false;
  }
  return true;
}

void RequestRun::NoteCommit() {
  if (connection().file().last_commit() <= head_before_ || first_commit_.has_value()) return;
  first_commit_ = statement_index_;
}

void RequestRun::CheckOneShotEnd() {
  if (!sink_->is_one_shot() || !connection().in_transaction()) return;
  session_.RollBack();
  if (error_.has_value()) return;
  results_.Clear();
  Fail(ErrorFromStatus(
      absl::InvalidArgumentError("the batch left a transaction open, so it was rolled back: end it "
                                 "with COMMIT, or set atomic and leave BEGIN out"),
      /*is_retriable=*/false));
}

Task<absl::Status> RequestRun::AwaitDurable(Lsn lsn, WorkerPool* resume_on) {
  SqlEngine& engine = session_.executor().engine();
  if (engine.vdl() >= lsn) co_return absl::OkStatus();
  const Clock::time_point start = Clock::now();
  const absl::Duration patience = wait_left_;
  Callback<absl::Status> durable(
      [&engine, lsn, patience](Callback<absl::Status>::Done done) {
        engine.WhenDurable(lsn, patience, std::move(done));
      },
      resume_on);
  absl::Status status = co_await durable;
  CountWait(start);
  co_return status;
}

// A record appended after the request came in proves with its acknowledgements that this node was
// the writer then. Everything else needs a proof of its own, one for the whole request.
Task<absl::Status> RequestRun::AwaitPresentable(WorkerPool* resume_on) {
  const Lsn position = connection().file().position();
  absl::Status status = co_await AwaitDurable(position, resume_on);
  if (!status.ok() || is_current_ || position > head_before_) co_return status;
  SqlEngine& engine = session_.executor().engine();
  const Clock::time_point start = Clock::now();
  const absl::Duration patience = wait_left_;
  Callback<absl::Status> current(
      [&engine, patience](Callback<absl::Status>::Done done) {
        engine.WhenCurrent(patience, std::move(done));
      },
      resume_on);
  status = co_await current;
  CountWait(start);
  is_current_ = status.ok();
  co_return status;
}

// Whether the reply tells of data: by rows and counts, or by an error that depends on them.
bool RequestRun::ShowsData() const {
  return has_read_ ||
         (error_.has_value() && error_->sqlite_code != 0 && !IsFileFailure(error_->sqlite_code));
}

Error RequestRun::PresentError(const absl::Status& status) const {
  const bool is_late = absl::IsDeadlineExceeded(status);
  Error error{.code = status.code(), .statement_index = statement_index_};
  if (first_commit_.has_value()) {
    error.statement_index = *first_commit_;
    error.outcome = Outcome::kUnknown;
    error.is_retriable = is_late;
    error.message =
        is_late ? Text("the commit was not durable ", session_.executor().engine().durable_where(),
                       " within ", absl::FormatDuration(timeout_),
                       ": it may yet become so, look before you repeat it")
                : Text("the outcome of the commit is unknown: ", status.message(),
                       "; look before you repeat it");
    return error;
  }
  // Another writer took over: this node will never answer again.
  error.is_retriable = !absl::IsFailedPrecondition(status);
  error.message = Text("what was read cannot be shown",
                       is_late ? Text(", after ", absl::FormatDuration(timeout_)) : std::string(),
                       ": ", status.message());
  return error;
}

Response RequestRun::MakeResponse(bool is_last) {
  return {.id = request_.id,
          .position = connection().file().position(),
          .in_transaction = connection().in_transaction(),
          .is_last = is_last,
          .snapshot = snapshot_};
}

Task<bool> RequestRun::Send(Response response) {
  auto shared = std::make_shared<Response>(std::move(response));
  // The last response needs no SQL after it: wherever it was sent, the request ends there.
  WorkerPool* const resume_on = shared->is_last ? nullptr : &pool();
  Callback<bool> sent(
      [this, shared](Callback<bool>::Done done) {
        sink_->Send(std::move(*shared), std::move(done));
      },
      resume_on);
  const bool is_sent = co_await sent;
  if (!is_sent) is_client_gone_ = true;
  co_return is_sent;
}

Task<bool> RequestRun::SendChunk() {
  const absl::Status presentable = co_await AwaitPresentable(&pool());
  if (!presentable.ok()) {
    Fail(PresentError(presentable));
    results_.Clear();
    co_return false;
  }
  Response response = MakeResponse(/*is_last=*/false);
  response.results = results_.TakeChunk();
  // Whoever takes no rows must not keep the others from writing, or old versions from being
  // collected.
  const absl::Duration patience =
      session_.holds_ticket() ? options_.idle_write_limit : options_.idle_read_limit;
  auto is_sent = std::make_shared<std::atomic<bool>>(false);
  pool().After(patience, [is_sent, weak = std::weak_ptr(sink_)] {
    const auto sink = weak.lock();
    if (sink != nullptr && !is_sent->load()) sink->Abort();
  });
  const bool ok = co_await Send(std::move(response));
  is_sent->store(true);
  co_return ok;
}

Task<void> RequestRun::Finish() {
  if (is_client_gone_) co_return;
  if (ShowsData()) {
    // No SQL follows: the reply leaves from the thread that saw VDL pass or the last proof come.
    const absl::Status presentable = co_await AwaitPresentable(nullptr);
    if (!presentable.ok()) {
      error_ = PresentError(presentable);
      results_.Clear();
    }
  }
  Response response = MakeResponse(/*is_last=*/true);
  response.results = results_.TakeAll();
  response.error = std::move(error_);
  // A token is for what every node will reach; what may yet be lost is not that.
  if (response.error.has_value()) {
    response.position = std::min(response.position, session_.executor().engine().vdl());
  }
  co_await Send(std::move(response));
}

}  // namespace sextant::sql
