// SourceEngine: the source of the traditional path; sessions' engine, binlog, and its followers'
// door.
//
// A commit: the transaction is written to the binlog, SQLite's WAL shows it, the next writer
// begins. One thread syncs the binlog for all that have gathered (group commit); followers are sent
// what is synced and acknowledge; whatever the machine releases is answered
// (replication/source_machine.h). docs/decisions/2026-11-22-sql-engine.md says why.
//
// Thread-safety: all methods from any thread, but Stop, once.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "compute-node/binlog/engine/durable_waits.h"
#include "compute-node/binlog/engine/local_data.h"
#include "compute-node/binlog/engine/local_file.h"
#include "compute-node/binlog/replication/source_machine.h"
#include "compute-node/sql/engine.h"
#include "compute-node/writer/write_ticket.h"

namespace sextant::binlog {

struct SourceOptions {
  SemiSyncOptions semi_sync;
  int checkpoint_pages = 4000;  // copies the WAL into the data file when it is so long
  std::function<void(const absl::Status&)> on_failed;  // the node must start again; any thread
};

struct SourceStatus {
  GtidSet history;
  TxnSeq head, synced, durable, acknowledged;
  SyncMode mode = SyncMode::kAsync;
  size_t joined = 0;                               // replicas that follow now
  std::vector<SourceMachine::Follower> followers;  // since it began
  size_t waits = 0;
  uint64_t commits = 0, syncs = 0, binlog_bytes = 0;
  uint64_t tenure = 0;
};

class SourceEngine final : public sql::SqlEngine, private LocalHost {
 public:
  // `data` is the engine's alone until it is stopped; `tickets` outlives it. A node that was no
  // source before gets `new_source` as its id of this tenure.
  static absl::StatusOr<std::unique_ptr<SourceEngine>> Start(LocalData* data,
                                                             compute::WriteTicketQueue* tickets,
                                                             SourceId new_source,
                                                             SourceOptions options);
  ~SourceEngine() override;
  // Answers all that waits with UNAVAILABLE; no session may be open any more after it returns.
  void Stop();

  // --- SqlEngine
  absl::StatusOr<std::unique_ptr<sql::Connection>> Open(
      const sql::ConnectionOptions& options) override;
  Lsn head() const override;
  Lsn vdl() const override;
  absl::Status CheckWrite() const override;
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) override;
  void WhenCurrent(absl::Duration timeout, DurableCallback done) override;
  std::string_view durable_where() const override { return "in the binlog of enough nodes"; }

  // --- followers
  absl::StatusOr<TxnSeq> Join(const ReplicaCopy& replica, const GtidSet& received);
  absl::Status Acked(const ReplicaCopy& replica, TxnSeq through);
  void Leave(const ReplicaCopy& replica);
  // Waits until more than `above` is synced, at most so long, or until Stop; how far it is.
  TxnSeq AwaitSynced(TxnSeq above, absl::Duration timeout);
  bool is_stopping() const;

  // Copies the WAL into the data file and syncs both, while nobody writes. UNAVAILABLE: not now.
  absl::Status Checkpoint();
  // Through where neither this node after a crash nor a follower that is connected needs the
  // binlog.
  TxnSeq PurgeableThrough() const;

  SourceStatus status() const;
  LocalData& data() { return *data_; }

 private:
  SourceEngine(LocalData* data, compute::WriteTicketQueue* tickets, SourceId tenure,
               SourceOptions options);

  // --- LocalHost
  TxnSeq Head() const override { return TxnSeq(head_.load(std::memory_order_acquire)); }
  Gtid NextGtid() const override;
  absl::Status AppendToBinlog(Gtid gtid, std::string_view bytes) override;
  void Fail(const absl::Status& why) override;
  void WalGrew(int pages) override;

  void RunSyncs();
  void RunUpkeep();
  // Takes the machine's output and carries it out; drops the lock.
  void CarryOut(std::unique_lock<std::mutex> lock);

  LocalData* const data_;
  compute::WriteTicketQueue* const tickets_;
  const SourceOptions options_;
  const SourceId tenure_;
  CaptureShared shared_;  // guarded by the write ticket
  std::atomic<uint64_t> head_;
  std::atomic<uint64_t> durable_;
  std::atomic<int> wal_pages_{0};
  std::atomic<uint64_t> checkpointed_{0};  // the data file itself holds so much, synced

  mutable std::mutex mutex_;
  std::condition_variable appended_, synced_, stopping_;
  SourceMachine machine_;
  DurableWaits waits_;
  bool is_stopping_ = false;
  absl::Status failed_;
  uint64_t commits_ = 0, syncs_ = 0;
  std::thread syncer_, upkeep_;
};

}  // namespace sextant::binlog
