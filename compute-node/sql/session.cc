// See session.h.
#include "compute-node/sql/session.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/sql/async.h"
#include "compute-node/sql/executor.h"
#include "compute-node/sql/request_run.h"
#include "compute-node/sql/sql_error.h"

namespace sextant::sql {

Session::Session(SqlExecutor* executor, std::unique_ptr<Connection> connection)
    : executor_(executor), connection_(std::move(connection)) {
  connection_->SetCancelled([this] { return is_cancelled(); });
}

Session::~Session() {
  if (connection_ != nullptr) DropConnection();
}

void Session::TakeTicket(compute::WriteTicket ticket) {
  ticket_ = std::move(ticket);
  connection_->file().SetHoldsTicket(true);
}

void Session::ReleaseTicketIfDone() {
  if (!connection_->in_transaction()) is_read_only_ = false;
  if (!ticket_.is_held() || connection_->in_write_transaction()) return;
  connection_->file().SetHoldsTicket(false);
  ticket_.Release();
}

void Session::RollBack() {
  if (connection_->in_transaction()) {
    sqlite3_exec(connection_->db(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  ReleaseTicketIfDone();
}

void Session::Execute(Request request, std::shared_ptr<ResponseSink> sink,
                      std::function<void()> finished) {
  const uint64_t id = request.id;
  // The closure must be copyable, and moves what it can when it runs.
  auto shared = std::make_shared<Request>(std::move(request));
  if (TakeIn([self = shared_from_this(), shared, sink, finished] {
        self->Start(std::move(*shared), sink, finished);
      })) {
    return;
  }
  Response closed{.id = id, .is_last = true};
  const absl::Status why = executor_->why_closed();
  closed.error = ErrorFromStatus(
      why.ok() ? absl::UnavailableError("the session was closed: connect again") : why,
      /*is_retriable=*/true);
  sink->Send(std::move(closed), [sink, finished](bool) { finished(); });
}

bool Session::PrepareForNextUser() {
  std::lock_guard lock(mutex_);
  if (state_ != State::kIdle || is_close_wanted_ || connection_->in_transaction() ||
      connection_->is_tainted()) {
    return false;
  }
  is_cancelled_ = false;
  sqlite3_set_last_insert_rowid(connection_->db(), 0);
  connection_->file().ForgetPosition();
  return true;
}

bool Session::TakeIn(std::function<void()> run) {
  std::lock_guard lock(mutex_);
  if (is_close_wanted_) return false;
  SEXTANT_CHECK(state_ != State::kBusy && waiting_ == nullptr) << "one request at a time";
  if (state_ == State::kRollingBack) {
    waiting_ = std::move(run);
  } else {
    BecomeBusy(std::move(run));
  }
  return true;
}

void Session::BecomeBusy(std::function<void()> run) {
  state_ = State::kBusy;
  ++idle_generation_;
  executor_->pool().Post(std::move(run));
}

void Session::Start(Request request, std::shared_ptr<ResponseSink> sink,
                    std::function<void()> finished) {
  // The coroutine owns all it needs: itself, the session, the sink.
  const auto run = [](std::shared_ptr<Session> self, Request request,
                      std::shared_ptr<ResponseSink> sink,
                      std::function<void()> finished) -> Task<void> {
    RequestRun run(*self, std::move(request), std::move(sink));
    Task<void> all = run.Run();
    co_await all;
    self->EndRequest(finished);
  };
  Spawn(run(shared_from_this(), std::move(request), std::move(sink), std::move(finished)));
}

void Session::EndRequest(const std::function<void()>& finished) {
  bool is_closing = false;
  {
    std::lock_guard lock(mutex_);
    if (waiting_ != nullptr) {  // it ends the session if that was wanted meanwhile
      BecomeBusy(std::exchange(waiting_, nullptr));
    } else {
      is_closing = is_close_wanted_;
      state_ = is_closing ? State::kClosed : State::kIdle;
      if (!is_closing && connection_->in_transaction()) ArmIdleTimer();
    }
  }
  if (is_closing) executor_->pool().Post([self = shared_from_this()] { self->DropConnection(); });
  finished();
}

void Session::Close() {
  Cancel();
  std::lock_guard lock(mutex_);
  is_close_wanted_ = true;
  if (state_ != State::kIdle) return;  // closed already, or when its request ends
  state_ = State::kClosed;
  executor_->pool().Post([self = shared_from_this()] { self->DropConnection(); });
}

void Session::DropConnection() {
  RollBack();
  SqlExecutor* const executor = executor_;
  connection_.reset();
  executor->SessionGone();
}

void Session::ArmIdleTimer() {
  const absl::Duration limit =
      holds_ticket() ? executor_->options().idle_write_limit : executor_->options().idle_read_limit;
  executor_->pool().After(limit, [weak = weak_from_this(), generation = idle_generation_] {
    if (const auto self = weak.lock()) self->OnIdleTimer(generation);
  });
}

void Session::OnIdleTimer(uint64_t generation) {
  {
    std::lock_guard lock(mutex_);
    if (state_ != State::kIdle || idle_generation_ != generation) return;
    state_ = State::kRollingBack;
  }
  const absl::Duration limit =
      holds_ticket() ? executor_->options().idle_write_limit : executor_->options().idle_read_limit;
  idle_error_ = Error{
      .code = absl::StatusCode::kAborted,
      .message = Text("the transaction was rolled back after ", absl::FormatDuration(limit),
                      " without a statement, for it ",
                      holds_ticket() ? "kept others from writing" : "kept old page versions alive",
                      ": start it over")};
  RollBack();
  EndRequest([] {});
}

}  // namespace sextant::sql
