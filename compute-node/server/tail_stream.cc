// See tail_stream.h.
#include "compute-node/server/tail_stream.h"

#include <utility>

#include "common/rpc/status.h"
#include "compute-node/server/volume_wire.h"

namespace sextant::server {
namespace {

// How often a tail that has nothing to send looks whether it is still wanted.
constexpr absl::Duration kIdleWait = absl::Milliseconds(500);

}  // namespace

TailStream::TailStream(compute::WriterVolume* volume, Lsn after,
                       const std::atomic<bool>* is_stopping, std::atomic<int>* tails)
    : volume_(*volume), tail_(volume, after), is_stopping_(*is_stopping), tails_(*tails) {}

TailStream::~TailStream() {
  if (thread_.joinable()) thread_.join();
  --tails_;
}

TailStream* TailStream::Start(compute::WriterVolume* volume, Lsn after,
                              const std::atomic<bool>* is_stopping, std::atomic<int>* tails,
                              int max_tails) {
  auto* const stream = new TailStream(volume, after, is_stopping, tails);
  if (++*tails > max_tails) {
    stream->Finish(rpc::ToGrpc(absl::ResourceExhaustedError("too many tails of the redo log")));
  } else {
    stream->thread_ = std::thread([stream] { stream->Run(); });
  }
  return stream;
}

void TailStream::Run() { Finish(rpc::ToGrpc(Follow())); }

absl::Status TailStream::Follow() {
  while (true) {
    absl::StatusOr<std::vector<log::RedoRecord>> records = tail_.Next(kIdleWait);
    if (!records.ok()) return records.status();
    if (is_stopping_) return absl::UnavailableError("this node is shutting down");
    if (!Send(*std::move(records))) return absl::CancelledError("the client is gone");
  }
}

bool TailStream::Send(std::vector<log::RedoRecord> records) {
  std::unique_lock lock(mutex_);
  if (is_gone_) return false;
  if (records.empty()) return true;
  response_.Clear();
  for (log::RedoRecord& record : records) ToProto(std::move(record), response_.add_records());
  response_.set_vdl(volume_.vdl().value());
  is_writing_ = true;
  StartWrite(&response_);
  written_.wait(lock, [this] { return !is_writing_; });
  return !is_gone_;
}

void TailStream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  is_writing_ = false;
  if (!ok) is_gone_ = true;
  written_.notify_one();
}

void TailStream::OnCancel() {
  std::lock_guard lock(mutex_);
  is_gone_ = true;
}

void TailStream::OnDone() { delete this; }

}  // namespace sextant::server
