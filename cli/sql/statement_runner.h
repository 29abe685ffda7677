// StatementRunner: runs statements on a session in order, prints their rows, reports their errors.
//
// Many autocommit statements travel in one request, which is not atomic: each commits by itself,
// and the server stops at the first error. The runner reports that one and sends the rest again, so
// that statements run exactly as if sent one by one. While a group is under way the next one is
// collected. The session follows the writer by itself (client/); a transaction that is lost, a
// commit of unknown outcome, or no node at all stops the runner: what came after would build on
// sand.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/sql/row_printer.h"
#include "client/sql_calls.h"

namespace sextant::cli {

struct RunOptions {
  PrintOptions print;
  bool bail = false;        // stop at the first error
  bool show_lsn = false;    // after each statement: its commit LSN, on the error stream
  bool show_time = false;   // after each statement: how long it took, on the output stream
  uint32_t timeout_ms = 0;  // 0: the server's default
  uint64_t as_of_lsn = 0;   // 0: now
  int64_t as_of_time_us = 0;
  size_t group_statements = 256;
  size_t group_bytes = 256 * 1024;
};

struct RunCounters {
  uint64_t statements = 0;  // done, with success or error
  uint64_t bytes = 0;       // of their text
  uint64_t errors = 0;
};

// What one statement was.
struct QueuedStatement {
  v1::SqlStatement sql;
  std::string place;  // for messages: "near line 3"; may be empty
};

class StatementRunner {
 public:
  // `connect` makes the session, when it is first needed. `out` and `err` outlive the runner.
  using Connect = std::function<absl::StatusOr<std::unique_ptr<client::SqlCalls>>()>;
  StatementRunner(Connect connect, RunOptions* options, std::ostream* out, std::ostream* err);
  ~StatementRunner();

  // Queues a statement; it runs when its group is full, or at Flush().
  void Add(QueuedStatement statement);
  // Runs everything queued and waits for it.
  void Flush();

  // True once nothing more may run: an error under `bail`, an unknown outcome, no session.
  bool is_stopped() const { return is_stopped_; }
  // Makes a stopped runner usable again (the interactive shell goes on after anything).
  void Resume() { is_stopped_ = false; }
  // OK, or the worst that happened: what the exit code is made of.
  const absl::Status& worst() const { return worst_; }
  const RunCounters& counters() const { return counters_; }
  bool in_transaction() const { return in_transaction_; }
  uint64_t last_lsn() const { return last_lsn_; }

  // Called after each group, for a progress display.
  void set_on_progress(std::function<void(const RunCounters&)> on_progress) {
    on_progress_ = std::move(on_progress);
  }
  // Where rows go from now on.
  void set_out(std::ostream* out) { out_ = out; }

  // Ends the session if a statement is under way, and says whether one was. From any thread.
  bool Interrupt();

  // For the shell's own queries: runs one statement and hands over its rows instead of printing
  // them.
  absl::Status Query(const std::string& sql, const std::vector<std::string>& text_parameters,
                     const std::function<void(const std::vector<std::string>& columns)>& on_columns,
                     const std::function<void(const v1::Row&)>& on_row);

 private:
  struct Group {
    std::vector<QueuedStatement> statements;
    size_t bytes = 0;
  };
  absl::Status EnsureSession();
  // Starts a request, with what the options ask of all of them.
  void Start(v1::SqlRequest request);
  absl::Status Receive(v1::SqlResponse* response);
  void Send(Group group);
  void Wait();
  // Reads the responses of the group under way; the index of the statement that failed, or -1.
  absl::Status ReadResponses(v1::SqlError* error, bool* has_error);
  void PrintResults(const v1::SqlResponse& response);
  void HandleError(const v1::SqlError& error);
  void HandleLostSession(const absl::Status& status);
  void Report(const QueuedStatement* statement, const std::string& message);
  void Worsen(const absl::Status& status);

  const Connect connect_;
  RunOptions* const options_;
  std::ostream* out_;
  std::ostream* const err_;
  std::unique_ptr<client::SqlCalls> session_;
  std::mutex interrupt_mutex_;
  bool is_waiting_ = false;  // in Receive(); guarded by interrupt_mutex_
  Group collecting_;
  Group under_way_;
  bool is_under_way_ = false;
  std::unique_ptr<RowPrinter> printer_;  // of a result that is not complete yet
  bool is_stopped_ = false;
  bool in_transaction_ = false;
  uint64_t last_lsn_ = 0;
  absl::Status worst_;
  RunCounters counters_;
  std::function<void(const RunCounters&)> on_progress_;
};

}  // namespace sextant::cli
