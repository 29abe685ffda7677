// See source_engine.h.
#include "compute-node/binlog/engine/source_engine.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"

namespace sextant::binlog {
namespace {

constexpr auto kTick = std::chrono::milliseconds(5);
constexpr absl::Duration kTicketPatience = absl::Seconds(1);

absl::Status Stopped() {
  return absl::UnavailableError("this node is no longer the source: connect to the one that is");
}

void Answer(std::vector<DurableWaits::Done> waits, const absl::Status& status) {
  for (DurableWaits::Done& done : waits) done(status);
}

const char* ModeName(SyncMode mode) {
  switch (mode) {
    case SyncMode::kAsync:
      return "async";
    case SyncMode::kSemiSync:
      return "semi-sync";
    case SyncMode::kDegraded:
      return "degraded";
  }
  return "unknown";
}

}  // namespace

absl::StatusOr<std::unique_ptr<SourceEngine>> SourceEngine::Start(
    LocalData* data, compute::WriteTicketQueue* tickets, SourceId new_source,
    SourceOptions options) {
  if (data->state().source == SourceId(0)) {
    RETURN_IF_ERROR(data->UpdateState([data, new_source](NodeState* state) {
      state->source = new_source;
      state->held = ++state->tenure;
      state->begun = data->store().history().last();
      state->is_whole = true;
    }));
  }
  std::unique_ptr<SourceEngine> engine(
      new SourceEngine(data, tickets, data->state().source, std::move(options)));
  engine->syncer_ = std::thread([raw = engine.get()] { raw->RunSyncs(); });
  engine->upkeep_ = std::thread([raw = engine.get()] { raw->RunUpkeep(); });
  return engine;
}

SourceEngine::SourceEngine(LocalData* data, compute::WriteTicketQueue* tickets, SourceId tenure,
                           SourceOptions options)
    : data_(data),
      tickets_(tickets),
      options_(std::move(options)),
      tenure_(tenure),
      machine_(options_.semi_sync, data->store().history(), tenure) {
  head_ = machine_.appended().value();
  durable_ = machine_.durable().value();
}

SourceEngine::~SourceEngine() { Stop(); }

void SourceEngine::Stop() {
  std::vector<DurableWaits::Done> waits;
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    waits = waits_.TakeAll();
    appended_.notify_all();
    synced_.notify_all();
    stopping_.notify_all();
  }
  Answer(std::move(waits), Stopped());
  if (syncer_.joinable()) syncer_.join();
  if (upkeep_.joinable()) upkeep_.join();
}

absl::StatusOr<std::unique_ptr<sql::Connection>> SourceEngine::Open(
    const sql::ConnectionOptions& options) {
  return LocalFile::Connect(this, data_->database_path(), &shared_, options);
}

Lsn SourceEngine::head() const { return Lsn(Head().value()); }
Lsn SourceEngine::vdl() const { return Lsn(durable_.load(std::memory_order_acquire)); }

absl::Status SourceEngine::CheckWrite() const {
  std::lock_guard lock(mutex_);
  if (is_stopping_) return Stopped();
  return failed_;
}

void SourceEngine::WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) {
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    if (machine_.durable().value() < lsn.value()) {
      status = is_stopping_ ? Stopped() : failed_;
      if (status.ok() && lsn.value() > machine_.appended().value()) {
        status = absl::DataLossError(
            Text("transaction ", lsn.value(), ", which this session has seen, is not in the ",
                 "source's history: it was lost when the source changed; begin a new session"));
      }
      if (status.ok()) {
        waits_.Add(lsn, rpc::SteadyNow() + timeout, std::move(done));
        return;
      }
    }
  }
  done(status);
}

// A source that was replaced hears of it from its followers, who turn away; a promise to its
// clients needs their acknowledgements, as the machine counts them.
void SourceEngine::WhenCurrent(absl::Duration, DurableCallback done) { done(absl::OkStatus()); }

Gtid SourceEngine::NextGtid() const { return {tenure_, Head().Next()}; }

absl::Status SourceEngine::AppendToBinlog(Gtid gtid, std::string_view bytes) {
  RETURN_IF_ERROR(CheckWrite());
  if (absl::Status status = data_->store().Append(gtid, bytes); !status.ok()) {
    Fail(status);
    return status;
  }
  std::lock_guard lock(mutex_);
  machine_.Append();
  ++commits_;
  head_.store(gtid.seq.value(), std::memory_order_release);
  appended_.notify_one();
  return absl::OkStatus();
}

void SourceEngine::Fail(const absl::Status& why) {
  std::vector<DurableWaits::Done> waits;
  {
    std::lock_guard lock(mutex_);
    if (!failed_.ok()) return;
    failed_ = absl::UnavailableError(Text("the source must start again: ", why.message()));
    waits = waits_.TakeAll();
  }
  spdlog::error("the source cannot go on{}", rpc::Fields("error", why));
  Answer(std::move(waits), failed_);
  if (options_.on_failed) options_.on_failed(failed_);
}

void SourceEngine::WalGrew(int pages) { wal_pages_.store(pages, std::memory_order_relaxed); }

void SourceEngine::RunSyncs() {
  for (;;) {
    TxnSeq through;
    {
      std::unique_lock lock(mutex_);
      appended_.wait(lock,
                     [this] { return is_stopping_ || machine_.appended() > machine_.synced(); });
      if (is_stopping_) return;
      through = machine_.appended();
    }
    if (absl::Status status = data_->store().Sync(); !status.ok()) return Fail(status);
    std::unique_lock lock(mutex_);
    ++syncs_;
    machine_.Synced(through, rpc::SteadyNow());
    synced_.notify_all();
    CarryOut(std::move(lock));
  }
}

void SourceEngine::CarryOut(std::unique_lock<std::mutex> lock) {
  const SourceMachine::Output output = machine_.TakeOutput();
  if (output.announce.has_value()) {
    if (*output.announce == SyncMode::kDegraded) {
      spdlog::error("semi-sync fell back to async: commits are answered without replicas{}",
                    rpc::Fields("from", output.release_through.value()));
    } else {
      spdlog::warn("replication mode changed{}", rpc::Fields("mode", ModeName(*output.announce)));
    }
  }
  durable_.store(output.release_through.value(), std::memory_order_release);
  std::vector<DurableWaits::Done> released =
      waits_.TakeThrough(Lsn(output.release_through.value()));
  lock.unlock();
  Answer(std::move(released), absl::OkStatus());
}

void SourceEngine::RunUpkeep() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    stopping_.wait_for(lock, kTick);
    if (is_stopping_) return;
    const Instant now = rpc::SteadyNow();
    std::vector<DurableWaits::Done> expired = waits_.TakeExpired(now);
    machine_.Tick(now);
    CarryOut(std::move(lock));
    Answer(std::move(expired),
           absl::DeadlineExceededError("the binlog was not on enough nodes in time"));
    if (wal_pages_.load(std::memory_order_relaxed) >= options_.checkpoint_pages) {
      Checkpoint().IgnoreError();  // tried again at the next tick
    }
    lock = std::unique_lock(mutex_);
  }
}

// The data file must never get ahead of the synced binlog, so nobody writes meanwhile.
absl::Status SourceEngine::Checkpoint() {
  ASSIGN_OR_RETURN(const compute::WriteTicket ticket, tickets_->AcquireBlocking(kTicketPatience));
  const TxnSeq head = Head();
  if (head > TxnSeq(0) && AwaitSynced(TxnSeq(head.value() - 1), kTicketPatience) < head) {
    return absl::UnavailableError("the binlog was not synced in time");
  }
  if (absl::Status status = data_->Checkpoint(); !status.ok()) {
    Fail(status);
    return status;
  }
  wal_pages_.store(0, std::memory_order_relaxed);
  // Readers of old snapshots keep it from copying all.
  if (data_->wal_pages() == 0) checkpointed_.store(head.value());
  return absl::OkStatus();
}

TxnSeq SourceEngine::PurgeableThrough() const {
  std::lock_guard lock(mutex_);
  return std::min(TxnSeq(checkpointed_.load()), machine_.HeldByJoined());
}

absl::StatusOr<TxnSeq> SourceEngine::Join(const ReplicaCopy& replica, const GtidSet& received) {
  std::unique_lock lock(mutex_);
  if (is_stopping_) return Stopped();
  absl::StatusOr<TxnSeq> from = machine_.Join(replica, received, rpc::SteadyNow());
  CarryOut(std::move(lock));
  return from;
}

absl::Status SourceEngine::Acked(const ReplicaCopy& replica, TxnSeq through) {
  std::unique_lock lock(mutex_);
  absl::Status status = machine_.Acked(replica, through, rpc::SteadyNow());
  CarryOut(std::move(lock));
  return status;
}

void SourceEngine::Leave(const ReplicaCopy& replica) {
  std::lock_guard lock(mutex_);
  machine_.Leave(replica);
}

TxnSeq SourceEngine::AwaitSynced(TxnSeq above, absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  synced_.wait_for(lock, absl::ToChronoMicroseconds(timeout),
                   [&] { return is_stopping_ || machine_.synced() > above; });
  return machine_.synced();
}

bool SourceEngine::is_stopping() const {
  std::lock_guard lock(mutex_);
  return is_stopping_;
}

SourceStatus SourceEngine::status() const {
  std::lock_guard lock(mutex_);
  return {.history = machine_.history(),
          .head = machine_.appended(),
          .synced = machine_.synced(),
          .durable = machine_.durable(),
          .acknowledged = machine_.acknowledged(),
          .mode = machine_.mode(),
          .joined = machine_.joined(),
          .followers = machine_.followers(),
          .waits = waits_.size(),
          .commits = commits_,
          .syncs = syncs_,
          .binlog_bytes = data_->store().bytes_written(),
          .tenure = data_->state().tenure};
}

}  // namespace sextant::binlog
