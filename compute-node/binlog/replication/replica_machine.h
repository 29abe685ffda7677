// ReplicaMachine: what a replica has received, synced and applied, each transaction exactly once.
// Core.
//
// Received transactions are written to the relay log, synced, acknowledged, and applied in commit
// order, each batch in one local transaction that also stores how far it goes: after a crash the
// data says itself what it holds. Nothing is applied before the relay log is synced, so the data
// never holds what the relay log has lost.
//
//   Arrived -> write to the relay log -> RelaySynced -> TakeAck, NextBatch -> Applied
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "compute-node/binlog/log/gtid.h"

namespace sextant::binlog {

struct ReplicaOptions {
  uint64_t max_batch = 256;  // transactions applied in one local transaction
  absl::Duration first_backoff = absl::Milliseconds(50);
  absl::Duration longest_backoff = absl::Seconds(2);
};

class ReplicaMachine {
 public:
  struct Batch {
    TxnSeq first, last;
  };

  // `relayed`: what the relay log holds, synced; `applied` is not above it.
  ReplicaMachine(ReplicaOptions options, GtidSet relayed, TxnSeq applied);

  // --- the stream
  // When to try to connect (again); null while connected.
  std::optional<Instant> connect_at() const;
  void Connected();
  void Disconnected(Instant now);
  // Whether the transaction is new and shall be written to the relay log (false: had it before).
  // DATA_LOSS: transactions are missing before it, or it differs from the one held: the stream
  // must end.
  absl::StatusOr<bool> Arrived(Gtid gtid, uint64_t commit_micros);
  // How far the source's binlog goes; it says so when it has nothing to send.
  void SourceAt(TxnSeq head) { source_head_ = std::max(source_head_, head); }

  // --- the relay log
  void RelaySynced(TxnSeq through);
  // What to acknowledge on the present stream, once; null: nothing new.
  std::optional<TxnSeq> TakeAck();

  // --- the data
  // The next batch to apply; null: nothing, or one is under way.
  std::optional<Batch> NextBatch();
  // The batch is applied, and visible since `now_micros` (wall clock); `commit_micros`: when its
  // last transaction was committed on the source.
  void Applied(TxnSeq through, uint64_t commit_micros, uint64_t now_micros);

  const GtidSet& received() const { return received_; }
  TxnSeq synced() const { return synced_; }
  TxnSeq applied() const { return applied_; }
  bool is_connected() const { return is_connected_; }
  // Commit on the source to visible here, by both nodes' clocks: of the newest transaction if all
  // are applied, else how long the oldest that waits has waited. Null: unknown, for the source
  // cannot be heard, or nothing has come yet.
  std::optional<absl::Duration> Lag(uint64_t now_micros) const;

 private:
  const ReplicaOptions options_;
  GtidSet received_;
  TxnSeq synced_, applied_, acked_, source_head_;
  bool is_connected_ = false;
  bool is_applying_ = false;
  Instant connect_at_ = Instant::Min();
  absl::Duration backoff_;
  std::optional<absl::Duration> last_lag_;
  uint64_t applied_commit_micros_ = 0;  // of the newest applied
  uint64_t waiting_commit_micros_ = 0;  // of the first received after it, about
};

}  // namespace sextant::binlog
