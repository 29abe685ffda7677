// Session and Client: SQL on a Sextant cluster, from C++.
//
//   client::Client cluster({"10.0.0.1:7010", "10.0.0.2:7010"});   // any of its compute nodes
//   auto session = cluster.NewSession();
//   auto reply = session->Execute("INSERT INTO t VALUES(?)", {int64_t{7}});
//   if (!reply.ok() && client::IsOutcomeUnknown(reply.status())) ...  // look before repeating
//
// A session finds the writer, follows it when another node is promoted, repeats what is safe to
// repeat and nothing else, and reads its own writes on any node.
//
// Thread-safety: a Client from any thread; a Session by one thread at a time, but for Cancel().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/errors.h"
#include "client/options.h"
#include "client/types.h"

namespace sextant::client {

class Directory;
class SqlCalls;

class Session {
 public:
  explicit Session(std::unique_ptr<SqlCalls> calls);
  Session(Session&&) noexcept;
  ~Session();  // rolls an open transaction back

  // Runs statements; each commits by itself unless the request is atomic or a transaction is open.
  // Errors: errors.h.
  absl::StatusOr<Reply> Execute(Request request);
  absl::StatusOr<Reply> Execute(std::string sql, std::vector<Value> parameters = {});
  // First column of the first row. NOT_FOUND: there is none.
  absl::StatusOr<Value> QueryOne(std::string sql, std::vector<Value> parameters = {});
  // All of them in one transaction and one round trip.
  absl::StatusOr<Reply> Batch(std::vector<Statement> statements);
  // BEGIN, `body`, COMMIT; from the start again while an attempt is known to have done nothing and
  // may succeed later (conflict, failover), up to `attempts`. An error of `body` rolls back.
  absl::Status Transaction(const std::function<absl::Status(Session&)>& body, int attempts = 10);

  bool in_transaction() const;
  // Everything that this session reads is at or above it. Hand it to another session to let that
  // one read these writes.
  uint64_t token() const;
  void Observe(uint64_t token);
  // The node that answered last, HOST:PORT; empty: none yet.
  const std::string& address() const;
  // How often it had to go on at another node.
  uint64_t moves() const;
  // Ends the call under way with CANCELLED; from any thread.
  void Cancel();

 private:
  std::unique_ptr<SqlCalls> calls_;
};

class Client {
 public:
  // `endpoints`, HOST:PORT of at least one compute node; the others are learned from it.
  explicit Client(std::vector<std::string> endpoints);

  // Connects with its first request.
  std::unique_ptr<Session> NewSession(const SessionOptions& options = {});
  // The same, message by message (sql_calls.h).
  std::unique_ptr<SqlCalls> NewCalls(const SessionOptions& options = {});
  // Where the writer is now. UNAVAILABLE: nobody is found to be it within `patience`.
  absl::StatusOr<std::string> FindWriter(absl::Duration patience);

 private:
  const std::shared_ptr<Directory> directory_;
};

}  // namespace sextant::client
