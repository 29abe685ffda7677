// SqlExecutor: everything SQL on one engine, such as an open volume; sessions, one-shot batches,
// their threads and limits.
//
// Thread-safety: all methods from any thread. It outlives its sessions: Stop() ends them and waits.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "compute-node/sql/engine.h"
#include "compute-node/sql/session.h"
#include "compute-node/sql/types.h"
#include "compute-node/sql/worker_pool.h"
#include "compute-node/volume/page_volume.h"
#include "compute-node/writer/write_ticket.h"

namespace sextant::sql {

struct SqlOptions {
  int threads = 0;  // 0: four per core, at least eight; a page miss blocks one for a round trip
  size_t max_sessions = 1024;        // batches under way count too
  size_t max_idle_connections = 64;  // kept open for batches
  absl::Duration default_timeout = absl::Seconds(10);
  absl::Duration idle_write_limit = absl::Seconds(30);
  absl::Duration idle_read_limit = absl::Minutes(5);
  size_t max_rows_per_response = 1000;
  size_t max_response_bytes = 1 << 20;
  // A result that cannot be sent in parts (a batch, rows of a commit not yet durable) is at most so
  // long.
  size_t max_buffered_bytes = 16 << 20;
  // This node only reads: a statement that writes is refused, and the refusal names the writer, if
  // it is known. A plain BEGIN starts a transaction that reads.
  bool is_read_only = false;
  std::function<std::optional<NodeAddress>()> find_writer;  // may be empty; thread-safe
  ConnectionOptions connection;
};

class SqlExecutor {
 public:
  // Both outlive the executor.
  SqlExecutor(compute::PageVolume* volume, compute::WriteTicketQueue* tickets, SqlOptions options);
  SqlExecutor(SqlEngine* engine, compute::WriteTicketQueue* tickets, SqlOptions options);
  ~SqlExecutor();  // Stop()
  SqlExecutor(const SqlExecutor&) = delete;

  // RESOURCE_EXHAUSTED: too many sessions. UNAVAILABLE: stopping, or the database cannot be read.
  absl::StatusOr<std::shared_ptr<Session>> OpenSession();

  // Runs one request on a connection of its own and calls `done` once with its only response.
  // Returns a function that cancels it.
  std::function<void()> Batch(Request request, std::function<void(Response)> done);

  // Refuses new work with `why` (UNAVAILABLE) and stops what runs; returns at once.
  void CloseSessions(const absl::Status& why);
  // The same, if that was not asked for yet; then rolls open transactions back, and waits until
  // every request has ended: those that wait for durability, until the volume releases them or
  // their deadline.
  void Stop();

  size_t open_sessions() const;
  // OK, or what CloseSessions was given.
  absl::Status why_closed() const;

  // --- for sessions
  WorkerPool& pool() { return *pool_; }
  compute::WriteTicketQueue& tickets() { return *tickets_; }
  SqlEngine& engine() { return *engine_; }
  const SqlOptions& options() const { return options_; }
  void SessionGone();

 private:
  absl::StatusOr<std::shared_ptr<Session>> NewSession();
  absl::StatusOr<std::shared_ptr<Session>> TakeIdleOrNew();
  void EndBatch(std::shared_ptr<Session> session);

  const std::unique_ptr<SqlEngine> owned_engine_;  // over a volume
  SqlEngine* const engine_;
  compute::WriteTicketQueue* const tickets_;
  const SqlOptions options_;
  std::unique_ptr<WorkerPool> pool_;

  mutable std::mutex mutex_;
  std::condition_variable session_gone_;
  absl::Status why_closed_;                       // not OK: no new work
  size_t open_ = 0;                               // with a connection
  std::vector<std::weak_ptr<Session>> sessions_;  // may hold dead ones
  std::vector<std::shared_ptr<Session>> idle_batches_;
};

}  // namespace sextant::sql
