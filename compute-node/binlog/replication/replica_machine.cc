// See replica_machine.h.
#include "compute-node/binlog/replication/replica_machine.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

absl::Duration Since(uint64_t then_micros, uint64_t now_micros) {
  // Clocks of two nodes: the replica's may be behind.
  return now_micros <= then_micros
             ? absl::ZeroDuration()
             : absl::Microseconds(static_cast<int64_t>(now_micros - then_micros));
}

}  // namespace

ReplicaMachine::ReplicaMachine(ReplicaOptions options, GtidSet relayed, TxnSeq applied)
    : options_(options),
      received_(std::move(relayed)),
      synced_(received_.last()),
      applied_(applied),
      backoff_(options.first_backoff) {
  SEXTANT_CHECK(received_.IsHistory() && applied_ <= synced_)
      << received_.ToString() << ", applied through " << applied_;
}

std::optional<Instant> ReplicaMachine::connect_at() const {
  if (is_connected_) return std::nullopt;
  return connect_at_;
}

void ReplicaMachine::Connected() {
  is_connected_ = true;
  acked_ = TxnSeq(0);  // the source may be another one, or have forgotten: it is told again
}

void ReplicaMachine::Disconnected(Instant now) {
  is_connected_ = false;
  last_lag_.reset();
  connect_at_ = now + backoff_;
  backoff_ = std::min(2 * backoff_, options_.longest_backoff);
}

absl::StatusOr<bool> ReplicaMachine::Arrived(Gtid gtid, uint64_t commit_micros) {
  if (!is_connected_) return false;
  if (gtid.seq <= received_.last()) {
    if (received_.Contains(gtid)) return false;
    return absl::DataLossError(Text("the source sent ", FormatGtid(gtid),
                                    ", but another transaction is held at that place"));
  }
  if (gtid.seq != received_.last().Next()) {
    return absl::DataLossError(Text("the source sent ", FormatGtid(gtid), " after ",
                                    received_.last(), ": transactions are missing"));
  }
  if (received_.last() == applied_) waiting_commit_micros_ = commit_micros;
  received_.Add(gtid);
  SourceAt(gtid.seq);
  backoff_ = options_.first_backoff;  // the stream carries
  return true;
}

void ReplicaMachine::RelaySynced(TxnSeq through) {
  SEXTANT_CHECK(through <= received_.last()) << through << " of " << received_.last();
  synced_ = std::max(synced_, through);
}

std::optional<TxnSeq> ReplicaMachine::TakeAck() {
  if (!is_connected_ || synced_ <= acked_) return std::nullopt;
  acked_ = synced_;
  return acked_;
}

std::optional<ReplicaMachine::Batch> ReplicaMachine::NextBatch() {
  if (is_applying_ || applied_ >= synced_) return std::nullopt;
  is_applying_ = true;
  const TxnSeq last(std::min(synced_.value(), applied_.value() + options_.max_batch));
  return Batch{applied_.Next(), last};
}

void ReplicaMachine::Applied(TxnSeq through, uint64_t commit_micros, uint64_t now_micros) {
  SEXTANT_CHECK(is_applying_ && through > applied_ && through <= synced_)
      << through << " after " << applied_ << ", synced " << synced_;
  is_applying_ = false;
  applied_ = through;
  applied_commit_micros_ = commit_micros;
  waiting_commit_micros_ = commit_micros;  // what waits was committed no earlier
  if (is_connected_) last_lag_ = Since(commit_micros, now_micros);
}

std::optional<absl::Duration> ReplicaMachine::Lag(uint64_t now_micros) const {
  if (!is_connected_) return std::nullopt;
  if (applied_ < received_.last()) return Since(waiting_commit_micros_, now_micros);
  if (applied_ < source_head_) return Since(applied_commit_micros_, now_micros);
  return last_lag_;
}

}  // namespace sextant::binlog
