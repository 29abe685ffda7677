// See tail_stream.h.
#include "compute-node/server/tail_stream.h"

#include <utility>

#include "common/base/status.h"
#include "common/rpc/status.h"
#include "compute-node/server/volume_wire.h"

namespace sextant::server {
namespace {

// How often a tail that has nothing to send looks whether it is still wanted.
constexpr absl::Duration kIdleWait = absl::Milliseconds(500);

}  // namespace

TailStream::TailStream(grpc::CallbackServerContext* context, VolumeUse use, Lsn after)
    : context_(*context), use_(std::move(use)), tail_(use_->writer, after) {}

TailStream::~TailStream() {
  if (thread_.joinable()) thread_.join();
  --use_->tails;
}

TailStream* TailStream::Start(grpc::CallbackServerContext* context, VolumeUse use, Lsn after) {
  auto* const stream = new TailStream(context, std::move(use), after);
  if (++stream->use_->tails > stream->use_->options.max_tails) {
    stream->Finish(rpc::ToGrpc(absl::ResourceExhaustedError("too many tails of the redo log")));
  } else {
    stream->use_->calls.Add(stream);
    stream->thread_ = std::thread([stream] { stream->Run(); });
  }
  return stream;
}

void TailStream::End(const absl::Status& why) {
  std::lock_guard lock(mutex_);
  why_ending_ = why;
}

void TailStream::Run() { Finish(rpc::ToGrpc(Follow())); }

absl::Status TailStream::Follow() {
  while (true) {
    absl::StatusOr<std::vector<log::RedoRecord>> records = tail_.Next(kIdleWait);
    if (!records.ok()) return records.status();
    RETURN_IF_ERROR(Send(*std::move(records)));
  }
}

absl::Status TailStream::Send(std::vector<log::RedoRecord> records) {
  std::unique_lock lock(mutex_);
  if (!why_ending_.ok()) return why_ending_;
  if (!is_gone_ && records.empty()) return absl::OkStatus();
  if (!is_gone_) {
    response_.Clear();
    for (log::RedoRecord& record : records) ToProto(std::move(record), response_.add_records());
    response_.set_vdl(use_->volume.vdl().value());
    is_writing_ = true;
    StartWrite(&response_);
    written_.wait(lock, [this] { return !is_writing_; });
  }
  return is_gone_ ? absl::CancelledError("the client is gone") : absl::OkStatus();
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

void TailStream::OnDone() {
  use_->calls.Remove(this);
  delete this;
}

}  // namespace sextant::server
