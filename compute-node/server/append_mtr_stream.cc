// See append_mtr_stream.h.
#include "compute-node/server/append_mtr_stream.h"

#include <algorithm>
#include <utility>

#include "common/rpc/status.h"
#include "compute-node/server/volume_wire.h"

namespace sextant::server {
namespace {

// Of one message: what is ready beyond that follows in the next.
constexpr int kMaxAnswersPerMessage = 4096;

}  // namespace

AppendMtrStream* AppendMtrStream::Start(grpc::CallbackServerContext* context, VolumeUse use) {
  std::shared_ptr<AppendMtrStream> stream(new AppendMtrStream(context, std::move(use)));
  stream->self_ = stream;
  stream->StartSendInitialMetadata();
  stream->StartRead(&stream->requests_);
  stream->use_->calls.Add(stream.get());
  return stream.get();
}

void AppendMtrStream::End(const absl::Status& why) {
  std::lock_guard lock(mutex_);
  why_ending_ = why;
  WriteNextLocked();
}

void AppendMtrStream::OnReadDone(bool ok) {
  {
    std::lock_guard lock(mutex_);
    is_reading_ = false;
    if (!ok) is_read_out_ = true;
    if (!ok || !why_ending_.ok()) return WriteNextLocked();
    is_appending_ = true;
    next_ = 0;
  }
  AppendRequests();
}

void AppendMtrStream::AppendRequests() {
  // The stream may end, and gRPC let go of it, as soon as it appends no more.
  const std::shared_ptr<AppendMtrStream> self = self_;
  while (next_ < requests_.mtrs_size()) {
    if (!AppendNext()) return;
  }
  Await(TakeRun());
  std::lock_guard lock(mutex_);
  is_appending_ = false;
  WriteNextLocked();  // refusals, and the end if it was waited for
  ReadNextLocked();
}

bool AppendMtrStream::AppendNext() {
  const v1::AppendMtrRequest& request = requests_.mtrs(next_++);
  const absl::Duration timeout = TimeoutOf(request, use_->options.commit_timeout);
  // What waits for one LSN waits for one time.
  if (run_.end > run_.begin && run_.timeout != timeout) Await(TakeRun());
  {
    std::lock_guard lock(mutex_);
    step_ = Step::kInside;
    answers_.push_back({.id = request.id()});
  }
  use_->appender->Append(
      EditsOf(request), timeout,
      [self = self_, timeout](const absl::StatusOr<Lsn>& lsn) { self->Appended(lsn, timeout); });
  Run run;
  {
    std::lock_guard lock(mutex_);
    if (step_ == Step::kDone) return true;
    step_ = Step::kElsewhere;
    run = std::exchange(run_, {});
  }
  Await(run);
  return false;
}

void AppendMtrStream::Appended(const absl::StatusOr<Lsn>& lsn, absl::Duration timeout) {
  {
    std::lock_guard lock(mutex_);
    Answer& answer = answers_.back();  // appends are one after the other
    if (lsn.ok()) {
      const uint64_t number = first_ + answers_.size() - 1;
      if (run_.end == run_.begin) run_ = {.begin = number, .timeout = timeout};
      run_.end = number + 1;
      run_.last = answer.commit_lsn = *lsn;
    } else {
      answer.status = lsn.status();
      answer.is_ready = true;
    }
    if (std::exchange(step_, Step::kDone) == Step::kInside) return;
  }
  AppendRequests();
}

AppendMtrStream::Run AppendMtrStream::TakeRun() {
  std::lock_guard lock(mutex_);
  return std::exchange(run_, {});
}

void AppendMtrStream::Await(const Run& run) {
  if (run.end == run.begin) return;
  use_->volume.WhenDurable(run.last, run.timeout, [self = self_, run](const absl::Status& durable) {
    self->Answered(run, durable);
  });
}

void AppendMtrStream::Answered(const Run& run, const absl::Status& status) {
  std::lock_guard lock(mutex_);
  // What was refused in between is answered, and may be gone.
  for (uint64_t number = std::max(run.begin, first_); number < run.end; ++number) {
    Answer& answer = answers_[number - first_];
    if (std::exchange(answer.is_ready, true)) continue;
    answer.status = status;
  }
  WriteNextLocked();
}

void AppendMtrStream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  is_writing_ = false;
  if (!ok) is_broken_ = true;
  WriteNextLocked();
  ReadNextLocked();
}

void AppendMtrStream::ReadNextLocked() {
  if (is_reading_ || is_appending_ || is_read_out_ || !why_ending_.ok() || is_finished_) return;
  if (answers_.size() >= static_cast<size_t>(use_->options.max_appends_per_stream)) return;
  is_reading_ = true;
  StartRead(&requests_);
}

// Nobody listens to a broken stream any more: the answers only have to come in before it may end.
void AppendMtrStream::TakeReadyLocked() {
  outgoing_.Clear();
  while (!answers_.empty() && answers_.front().is_ready &&
         outgoing_.answers_size() < kMaxAnswersPerMessage) {
    if (!is_broken_) Fill(answers_.front(), outgoing_.add_answers());
    answers_.pop_front();
    ++first_;
  }
}

void AppendMtrStream::WriteNextLocked() {
  if (is_writing_ || is_finished_) return;
  TakeReadyLocked();
  if (outgoing_.answers_size() > 0) {
    is_writing_ = true;
    return StartWrite(&outgoing_);
  }
  if (!answers_.empty() || is_appending_ || !(is_read_out_ || !why_ending_.ok())) return;
  is_finished_ = true;
  Finish(is_read_out_ ? grpc::Status::OK : rpc::ToGrpc(why_ending_));
}

void AppendMtrStream::Fill(const Answer& answer, v1::AppendMtrResponse* out) {
  out->set_id(answer.id);
  out->set_commit_lsn(answer.commit_lsn.value());
  if (answer.status.ok()) return;
  out->set_code(static_cast<uint32_t>(answer.status.code()));
  out->set_message(std::string(answer.status.message()));
}

void AppendMtrStream::OnDone() {
  use_->calls.Remove(this);
  self_ = nullptr;
}

}  // namespace sextant::server
