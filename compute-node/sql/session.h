// Session: one client's connection and transaction, and the requests it runs one after the other.
//
// A request is a coroutine on the executor's pool (request_run.h). Between requests a session is
// idle; an open transaction that stays idle too long is rolled back, for it holds the write ticket
// or an old snapshot, and the next request is told.
//
// Thread-safety: Execute, Cancel and Close from any thread. Execute only when the last one
// finished.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "compute-node/sql/connection.h"
#include "compute-node/sql/types.h"
#include "compute-node/writer/write_ticket.h"

namespace sextant::sql {

class SqlExecutor;

// Where the answers of a request go.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  // Sends one response; calls `sent` once, with false if the client is gone. Never called again
  // before.
  virtual void Send(Response response, std::function<void(bool)> sent) = 0;
  // One response only, and the session ends with it: no transaction may be left open.
  virtual bool is_one_shot() const = 0;
  // The client takes nothing for too long while it holds a transaction: end its call.
  virtual void Abort() = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  // Made by SqlExecutor.
  Session(SqlExecutor* executor, std::unique_ptr<Connection> connection);
  ~Session();

  // Runs one request; its answers go to `sink`, the last with is_last. `finished` is called when
  // the session takes the next one.
  void Execute(Request request, std::shared_ptr<ResponseSink> sink, std::function<void()> finished);
  // Stops the running statement, soon; the request ends with an error.
  void Cancel() { is_cancelled_.store(true, std::memory_order_relaxed); }
  // Cancels, rolls back and gives the connection up, now or when the running request ends.
  void Close();

 private:
  friend class RequestRun;
  friend class SqlExecutor;
  enum class State { kIdle, kBusy, kRollingBack, kClosed };

  // --- for the request under way; on its thread
  SqlExecutor& executor() { return *executor_; }
  Connection& connection() { return *connection_; }
  bool is_cancelled() const { return is_cancelled_.load(std::memory_order_relaxed); }
  bool holds_ticket() const { return ticket_.is_held(); }
  void TakeTicket(compute::WriteTicket ticket);
  // Lets the write ticket go unless a write transaction is open: right after its commit is
  // appended, before it is durable, so that commits follow each other closely.
  void ReleaseTicketIfDone();
  bool is_read_only() const { return is_read_only_; }
  void SetReadOnly(bool is_read_only) { is_read_only_ = is_read_only; }
  // What happened to the transaction while the session was idle, once.
  std::optional<Error> TakeIdleError() { return std::exchange(idle_error_, std::nullopt); }
  void RollBack();
  // For batches: false if this session's past would show; true makes it as good as new.
  bool PrepareForNextUser();

  // Starts a request now, or when the idle transaction's rollback is over. False: closed.
  bool TakeIn(std::function<void()> run);
  void BecomeBusy(std::function<void()> run);  // with mutex_ held
  void Start(Request request, std::shared_ptr<ResponseSink> sink, std::function<void()> finished);
  void EndRequest(const std::function<void()>& finished);
  void ArmIdleTimer();
  void OnIdleTimer(uint64_t generation);
  void DropConnection();

  SqlExecutor* const executor_;
  std::unique_ptr<Connection> connection_;
  compute::WriteTicket ticket_;
  bool is_read_only_ = false;  // the open transaction was begun READ ONLY
  std::optional<Error> idle_error_;
  std::atomic<bool> is_cancelled_{false};

  std::mutex mutex_;  // of what follows
  State state_ = State::kIdle;
  std::function<void()> waiting_;  // a request that came while kRollingBack
  bool is_close_wanted_ = false;
  uint64_t idle_generation_ = 0;
};

}  // namespace sextant::sql
