// See source_machine.h.
#include "compute-node/binlog/replication/source_machine.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::binlog {

SourceMachine::SourceMachine(SemiSyncOptions options, GtidSet history, SourceId tenure)
    : options_(options),
      tenure_(tenure),
      history_(std::move(history)),
      synced_(history_.last()),
      mode_(options.acks == 0 ? SyncMode::kAsync : SyncMode::kSemiSync) {
  SEXTANT_CHECK(history_.IsHistory()) << history_.ToString();
  if (mode_ == SyncMode::kAsync) durable_ = synced_;
}

Gtid SourceMachine::Append() {
  const Gtid gtid{tenure_, history_.last().Next()};
  history_.Add(gtid);
  return gtid;
}

void SourceMachine::Synced(TxnSeq seq, Instant now) {
  SEXTANT_CHECK(seq <= appended()) << seq << " is synced, but only " << appended() << " appended";
  if (seq <= synced_) return;
  synced_ = seq;
  waits_.push_back({seq, now});
  Judge(now);
}

absl::StatusOr<TxnSeq> SourceMachine::Join(const ReplicaCopy& replica, const GtidSet& received,
                                           Instant now) {
  if (!received.IsHistory()) {
    return absl::InvalidArgumentError("a replica's transactions are not one history");
  }
  // Received beyond the sync is no doubt of it, only too early to be true: it cannot be ours.
  if (!history_.Through(synced_).Contains(received)) {
    return absl::FailedPreconditionError(
        Text("the replica holds transactions that the source does not, after ",
             CommonThrough(history_, received), ": it must rewind them, or be seeded anew"));
  }
  Replica& entry = replicas_[replica.node];
  if (entry.folder != replica.folder) entry = {.folder = replica.folder};
  ++entry.streams;
  entry.acked = received.last();
  Judge(now);
  return received.last().Next();
}

SourceMachine::Replica* SourceMachine::Find(const ReplicaCopy& replica) {
  const auto it = replicas_.find(replica.node);
  if (it == replicas_.end() || it->second.folder != replica.folder) return nullptr;
  return &it->second;
}

absl::Status SourceMachine::Acked(const ReplicaCopy& replica, TxnSeq through, Instant now) {
  Replica* const entry = Find(replica);
  if (entry == nullptr || !entry->is_joined() || through > synced_) {
    return absl::InvalidArgumentError(
        Text("an acknowledgement through ", through,
             " of what was not sent, or by a copy that its node has replaced"));
  }
  entry->acked = std::max(entry->acked, through);
  Judge(now);
  return absl::OkStatus();
}

void SourceMachine::Leave(const ReplicaCopy& replica) {
  Replica* const entry = Find(replica);
  if (entry != nullptr && entry->is_joined()) --entry->streams;
}

size_t SourceMachine::joined() const {
  return static_cast<size_t>(std::count_if(replicas_.begin(), replicas_.end(),
                                           [](const auto& r) { return r.second.is_joined(); }));
}

TxnSeq SourceMachine::HeldByJoined() const {
  TxnSeq held = synced_;
  for (const auto& [node, replica] : replicas_) {
    if (replica.is_joined()) held = std::min(held, replica.acked);
  }
  return held;
}

std::vector<SourceMachine::Follower> SourceMachine::followers() const {
  std::vector<Follower> all;
  for (const auto& [node, replica] : replicas_) {
    all.push_back({node, replica.acked, replica.is_joined()});
  }
  return all;
}

TxnSeq SourceMachine::acknowledged() const {
  if (options_.acks == 0) return synced_;
  if (replicas_.size() < options_.acks) return TxnSeq(0);
  std::vector<TxnSeq> acked;
  for (const auto& [node, replica] : replicas_) acked.push_back(replica.acked);
  std::sort(acked.begin(), acked.end(), std::greater<>());
  return acked[options_.acks - 1];
}

void SourceMachine::SetMode(SyncMode mode) {
  if (mode == mode_) return;
  mode_ = mode;
  announce_ = mode;
}

void SourceMachine::Judge(Instant now) {
  const TxnSeq acknowledged = this->acknowledged();
  // Degraded until replicas have all of it again: otherwise every commit would wait once more.
  if (mode_ == SyncMode::kDegraded && acknowledged >= synced_) SetMode(SyncMode::kSemiSync);
  while (!waits_.empty() && waits_.front().through <= acknowledged) waits_.pop_front();
  const bool is_late = mode_ == SyncMode::kSemiSync && !waits_.empty() &&
                       now >= waits_.front().since + options_.fall_back_after;
  if (is_late && options_.may_fall_back) SetMode(SyncMode::kDegraded);
  durable_ = std::max(durable_, mode_ == SyncMode::kDegraded ? synced_ : acknowledged);
  while (!waits_.empty() && waits_.front().through <= durable_) waits_.pop_front();
}

SourceMachine::Output SourceMachine::TakeOutput() {
  return {.announce = std::exchange(announce_, std::nullopt), .release_through = durable_};
}

}  // namespace sextant::binlog
