// See append_mtr_stream.h.
#include "compute-node/server/append_mtr_stream.h"

#include <utility>

#include "common/rpc/status.h"
#include "compute-node/server/volume_wire.h"

namespace sextant::server {

AppendMtrStream* AppendMtrStream::Start(grpc::CallbackServerContext* context, VolumeUse use) {
  std::shared_ptr<AppendMtrStream> stream(new AppendMtrStream(context, std::move(use)));
  stream->self_ = stream;
  // By itself: metadata that travels with a first write is held back with it when that has a buffer
  // hint, and the write is then never reported as done.
  stream->StartSendInitialMetadata();
  stream->StartRead(&stream->request_);
  stream->use_->calls.Add(stream.get());
  return stream.get();
}

void AppendMtrStream::End(const absl::Status& why) {
  std::lock_guard lock(mutex_);
  why_ending_ = why;
  WriteNextLocked();
}

void AppendMtrStream::OnReadDone(bool ok) {
  Answer* answer = nullptr;
  {
    std::lock_guard lock(mutex_);
    is_reading_ = false;
    if (!ok) is_read_out_ = true;
    if (!ok || !why_ending_.ok()) return WriteNextLocked();
    is_appending_ = true;
    answer = &answers_.emplace_back();
    answer->response.set_id(request_.id());
  }
  const absl::Duration timeout = TimeoutOf(request_, use_->options.commit_timeout);
  use_->appender->Append(EditsOf(request_), timeout,
                         [self = self_, answer, timeout](const absl::StatusOr<Lsn>& lsn) {
                           self->Appended(answer, timeout, lsn);
                         });
}

void AppendMtrStream::Appended(Answer* answer, absl::Duration timeout,
                               const absl::StatusOr<Lsn>& lsn) {
  {
    std::lock_guard lock(mutex_);
    if (lsn.ok()) answer->response.set_commit_lsn(lsn->value());
    is_appending_ = false;
    ReadNextLocked();
  }
  if (!lsn.ok()) return Answered(answer, lsn.status());
  use_->volume.WhenDurable(*lsn, timeout, [self = self_, answer](const absl::Status& durable) {
    self->Answered(answer, durable);
  });
}

void AppendMtrStream::Answered(Answer* answer, const absl::Status& status) {
  std::lock_guard lock(mutex_);
  if (!status.ok()) {
    answer->response.set_code(static_cast<uint32_t>(status.code()));
    answer->response.set_message(std::string(status.message()));
  }
  answer->is_ready = true;
  WriteNextLocked();
}

void AppendMtrStream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  is_writing_ = false;
  if (!ok) is_broken_ = true;
  answers_.pop_front();
  WriteNextLocked();
  ReadNextLocked();
}

void AppendMtrStream::ReadNextLocked() {
  if (is_reading_ || is_appending_ || is_read_out_ || !why_ending_.ok() || is_finished_) return;
  if (answers_.size() >= static_cast<size_t>(use_->options.max_appends_per_stream)) return;
  is_reading_ = true;
  StartRead(&request_);
}

void AppendMtrStream::WriteNextLocked() {
  if (is_writing_ || is_finished_) return;
  // Nobody listens any more: the answers only have to come in before the stream may end.
  while (is_broken_ && !answers_.empty() && answers_.front().is_ready) answers_.pop_front();
  if (!answers_.empty()) {
    if (!answers_.front().is_ready) return;
    is_writing_ = true;
    grpc::WriteOptions options;
    // More follow at once: let them share a packet.
    if (answers_.size() > 1 && answers_[1].is_ready) options.set_buffer_hint();
    return StartWrite(&answers_.front().response, options);
  }
  if (is_appending_ || !(is_read_out_ || !why_ending_.ok())) return;
  is_finished_ = true;
  Finish(is_read_out_ ? grpc::Status::OK : rpc::ToGrpc(why_ending_));
}

void AppendMtrStream::OnDone() {
  use_->calls.Remove(this);
  self_ = nullptr;
}

}  // namespace sextant::server
