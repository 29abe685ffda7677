// ReplicaEngine: a binlog replica; relay log, the thread that applies it, and sessions that read.
//
// Who follows the source (net/) hands in what arrives; Receive writes it to the relay log and syncs
// it, and says what to acknowledge. A thread applies what is synced, in commit order and in
// batches.
//
// Thread-safety: the stream's methods from one thread; everything else from any.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "compute-node/binlog/engine/durable_waits.h"
#include "compute-node/binlog/engine/local_data.h"
#include "compute-node/binlog/engine/local_file.h"
#include "compute-node/binlog/replication/replica_machine.h"
#include "compute-node/sql/engine.h"

namespace sextant::binlog {

struct ReplicaStatus {
  GtidSet received;
  TxnSeq synced, applied;
  bool is_connected = false;
  std::optional<absl::Duration> lag;  // null: unknown
  absl::Status broken;                // why nothing is applied any more
  uint64_t relay_bytes = 0;
};

class ReplicaEngine final : public sql::SqlEngine, private LocalHost {
 public:
  // `data` is the engine's alone until it is stopped.
  ReplicaEngine(LocalData* data, ReplicaOptions options);
  ~ReplicaEngine() override;
  // Applies what is relayed (unless it cannot), then stops.
  void Stop(bool apply_all);

  // --- the stream
  void Connected();
  void Disconnected();
  // When to connect again.
  std::optional<Instant> connect_at() const;
  // Whole transactions, in order; what to acknowledge now. An error: the stream must end.
  absl::StatusOr<std::optional<TxnSeq>> Receive(std::string_view bytes);
  std::optional<TxnSeq> TakeAck();
  void SourceAt(TxnSeq head);
  // In the synced relay log.
  GtidSet received() const;

  // --- SqlEngine
  absl::StatusOr<std::unique_ptr<sql::Connection>> Open(
      const sql::ConnectionOptions& options) override;
  Lsn head() const override { return Lsn(applied_.load(std::memory_order_acquire)); }
  Lsn vdl() const override { return head(); }
  absl::Status CheckWrite() const override;
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) override;
  void WhenCurrent(absl::Duration timeout, DurableCallback done) override;
  std::string_view durable_where() const override { return "applied on this replica"; }

  ReplicaStatus status() const;

 private:
  // --- LocalHost
  // What a read saw may be visible and not yet counted as applied: its answer waits for that.
  TxnSeq Head() const override { return data_->shown(); }
  Gtid NextGtid() const override { return {}; }
  absl::Status AppendToBinlog(Gtid, std::string_view) override { return CheckWrite(); }
  void Fail(const absl::Status&) override {}
  void WalGrew(int) override {}

  absl::Status Relay(std::string_view bytes, TxnSeq* last);
  void RunApply();
  void RunUpkeep();
  void Break(const absl::Status& why);

  LocalData* const data_;
  std::atomic<uint64_t> applied_;

  mutable std::mutex mutex_;
  std::condition_variable changed_, stopping_;
  ReplicaMachine machine_;
  DurableWaits waits_;
  bool is_stopping_ = false;
  bool must_apply_all_ = false;
  absl::Status broken_;
  std::thread applier_, upkeep_;
};

}  // namespace sextant::binlog
