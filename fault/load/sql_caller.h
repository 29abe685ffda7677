// SqlCaller: one client's session, and the truth about what became of each request. On a bare
// stream: a judge wants to see what a client that repeats would hide.
//
// One thread uses it; Interrupt() may come from any.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/sql_stream.h"
#include "fault/history/history.h"

namespace sextant::fault {

struct SqlAnswer {
  Outcome outcome = Outcome::kCommitted;
  std::string error;  // where the outcome is not kCommitted
  std::string node;   // that answered, "127.0.0.1:20001"
  uint64_t lsn = 0;
  using Row = std::vector<std::string>;   // NULL is empty
  std::vector<std::vector<Row>> results;  // by statement
  bool ok() const { return outcome == Outcome::kCommitted; }
};

class SqlCaller {
 public:
  // Waits at most `timeout` for each answer; the server is told so. With `must_write` sessions are
  // kept only with nodes that take writes (Load's tables must be there): which node that is moves.
  SqlCaller(std::vector<std::string> endpoints, absl::Duration timeout, bool must_write = false)
      : endpoints_(std::move(endpoints)), timeout_(timeout), must_write_(must_write) {}

  static v1::SqlStatement Statement(const std::string& sql,
                                    const std::vector<int64_t>& parameters = {});

  // Opens a session with one of the endpoints, beginning with that of number `first`, if there is
  // none. False: nobody opens one now.
  bool Connect(size_t first);
  void Disconnect();
  bool is_connected() const { return session_ != nullptr; }

  // Runs them on the session that is open. kAborted: they had no effect. kUnknown: they may have
  // had; the session is over then, and so it is wherever the connection breaks.
  SqlAnswer Execute(const std::vector<v1::SqlStatement>& statements, bool atomic,
                    uint64_t min_lsn = 0);

  // Ends a call that is under way.
  void Interrupt();

 private:
  SqlAnswer Broken(const absl::Status& status);

  const std::vector<std::string> endpoints_;
  const absl::Duration timeout_;
  const bool must_write_;
  std::mutex mutex_;  // of session_'s life; held by its user only while it changes
  std::unique_ptr<client::SqlStream> session_;
};

}  // namespace sextant::fault
