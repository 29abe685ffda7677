// See replica_engine.h.
#include "compute-node/binlog/engine/replica_engine.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"

namespace sextant::binlog {
namespace {

constexpr auto kTick = std::chrono::milliseconds(5);
constexpr int kCheckpointPages = 4000;

uint64_t NowMicros() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

void Answer(std::vector<DurableWaits::Done> waits, const absl::Status& status) {
  for (DurableWaits::Done& done : waits) done(status);
}

}  // namespace

ReplicaEngine::ReplicaEngine(LocalData* data, ReplicaOptions options)
    : data_(data),
      applied_(data->position().value()),
      machine_(options, data->store().history(), data->position()),
      applier_([this] { RunApply(); }),
      upkeep_([this] { RunUpkeep(); }) {}

ReplicaEngine::~ReplicaEngine() { Stop(/*apply_all=*/false); }

void ReplicaEngine::Stop(bool apply_all) {
  std::vector<DurableWaits::Done> waits;
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    must_apply_all_ = apply_all;
    waits = waits_.TakeAll();
    changed_.notify_all();
    stopping_.notify_all();
  }
  Answer(std::move(waits), absl::UnavailableError("this replica is stopping: ask another node"));
  if (applier_.joinable()) applier_.join();
  if (upkeep_.joinable()) upkeep_.join();
}

void ReplicaEngine::Connected() {
  std::lock_guard lock(mutex_);
  machine_.Connected();
}

void ReplicaEngine::Disconnected() {
  std::lock_guard lock(mutex_);
  machine_.Disconnected(rpc::SteadyNow());
}

std::optional<Instant> ReplicaEngine::connect_at() const {
  std::lock_guard lock(mutex_);
  return machine_.connect_at();
}

GtidSet ReplicaEngine::received() const {
  std::lock_guard lock(mutex_);
  return machine_.received().Through(machine_.synced());
}

void ReplicaEngine::SourceAt(TxnSeq head) {
  std::lock_guard lock(mutex_);
  machine_.SourceAt(head);
}

absl::Status ReplicaEngine::Relay(std::string_view bytes, TxnSeq* last) {
  while (!bytes.empty()) {
    // The stream's checksums are the disk's: what is damaged is never written.
    ASSIGN_OR_RETURN(const TransactionView transaction, DecodeTransaction(&bytes));
    const GtidEvent& header = transaction.header;
    bool is_new = false;
    {
      std::lock_guard lock(mutex_);
      ASSIGN_OR_RETURN(is_new, machine_.Arrived(header.gtid, header.commit_micros));
    }
    if (!is_new) continue;
    RETURN_IF_ERROR(data_->store().Append(header.gtid, transaction.bytes));
    *last = header.gtid.seq;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TxnSeq>> ReplicaEngine::Receive(std::string_view bytes) {
  TxnSeq last;
  const absl::Status relayed = Relay(bytes, &last);
  // What came before an error is held, and will be claimed: it must be on disk.
  if (last > TxnSeq(0)) {
    RETURN_IF_ERROR(data_->store().Sync());
    std::lock_guard lock(mutex_);
    machine_.RelaySynced(last);
    changed_.notify_all();
  }
  RETURN_IF_ERROR(relayed);
  return TakeAck();
}

std::optional<TxnSeq> ReplicaEngine::TakeAck() {
  std::lock_guard lock(mutex_);
  return machine_.TakeAck();
}

void ReplicaEngine::RunApply() {
  for (;;) {
    std::optional<ReplicaMachine::Batch> batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        if (is_stopping_ && !must_apply_all_) return true;
        batch = machine_.NextBatch();
        return batch.has_value() || is_stopping_;
      });
      if (!batch.has_value()) return;
    }
    const absl::StatusOr<LocalData::Applied> applied = data_->ApplyThrough(batch->last);
    if (!applied.ok()) return Break(applied.status());
    std::vector<DurableWaits::Done> released;
    {
      std::lock_guard lock(mutex_);
      machine_.Applied(applied->through, applied->commit_micros, NowMicros());
      applied_.store(applied->through.value(), std::memory_order_release);
      released = waits_.TakeThrough(Lsn(applied->through.value()));
    }
    Answer(std::move(released), absl::OkStatus());
    if (data_->wal_pages() < kCheckpointPages) continue;
    if (absl::Status status = data_->Checkpoint(); !status.ok()) return Break(status);
  }
}

void ReplicaEngine::Break(const absl::Status& why) {
  spdlog::error("the replica has stopped applying{}", rpc::Fields("error", why));
  std::lock_guard lock(mutex_);
  broken_ = why;
}

void ReplicaEngine::RunUpkeep() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    stopping_.wait_for(lock, kTick);
    std::vector<DurableWaits::Done> expired = waits_.TakeExpired(rpc::SteadyNow());
    lock.unlock();
    Answer(std::move(expired), absl::DeadlineExceededError("not applied here in time"));
    lock.lock();
  }
}

absl::StatusOr<std::unique_ptr<sql::Connection>> ReplicaEngine::Open(
    const sql::ConnectionOptions& options) {
  return LocalFile::Connect(this, data_->database_path(), nullptr, options);
}

absl::Status ReplicaEngine::CheckWrite() const {
  return absl::FailedPreconditionError("this node is a replica: write on the source");
}

void ReplicaEngine::WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) {
  {
    std::lock_guard lock(mutex_);
    if (machine_.applied().value() < lsn.value() && !is_stopping_) {
      waits_.Add(lsn, rpc::SteadyNow() + timeout, std::move(done));
      return;
    }
  }
  done(head() >= lsn ? absl::OkStatus()
                     : absl::UnavailableError("this replica is stopping: ask another node"));
}

void ReplicaEngine::WhenCurrent(absl::Duration, DurableCallback done) { done(absl::OkStatus()); }

ReplicaStatus ReplicaEngine::status() const {
  std::lock_guard lock(mutex_);
  return {.received = machine_.received(),
          .synced = machine_.synced(),
          .applied = machine_.applied(),
          .is_connected = machine_.is_connected(),
          .lag = machine_.Lag(NowMicros()),
          .broken = broken_,
          .relay_bytes = data_->store().bytes_written()};
}

}  // namespace sextant::binlog
