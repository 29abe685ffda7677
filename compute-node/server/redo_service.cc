// See redo_service.h.
#include "compute-node/server/redo_service.h"

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "common/rpc/redo_wire.h"
#include "common/rpc/status.h"

namespace sextant::server {
namespace {

using Reactor = grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse>;

// One reader's stream. Owns itself until gRPC is done with it; the volume's feed may hold it
// longer.
class FollowStream final : public Reactor, public compute::RedoFollower {
 public:
  static FollowStream* Start(grpc::CallbackServerContext* context, RedoUse use) {
    std::shared_ptr<FollowStream> stream(new FollowStream(context, std::move(use)));
    stream->self_ = stream;
    stream->StartSendInitialMetadata();
    stream->StartRead(&stream->request_);
    (*stream->use_)->calls.Add(&stream->call_);
    return stream.get();
  }

  // --- from the volume
  void Send(protocol::FollowMessage message) override {
    std::lock_guard lock(mutex_);
    if (is_finished_ || why_) return;
    response_.Clear();
    rpc::ToProto(std::move(message), &response_);
    is_writing_ = true;
    StartWrite(&response_);
  }
  void End(absl::Status why) override { EndWith(why); }

  // --- from gRPC
  void OnReadDone(bool ok) override {
    if (!ok) return EndWith(absl::CancelledError("the reader is gone"));
    if (request_.has_progress()) {
      if (const auto id = this->id()) {
        (*use_)->volume.FollowerProgressed(*id, rpc::FromProto(request_.progress()));
      }
    } else if (absl::Status opened = Open(); !opened.ok()) {
      return EndWith(opened);
    }
    StartRead(&request_);
  }
  void OnWriteDone(bool ok) override {
    std::optional<compute::FollowerId> sent;
    {
      std::lock_guard lock(mutex_);
      is_writing_ = false;
      if (why_) return FinishLocked();
      if (ok) sent = id_;
    }
    if (sent) (*use_)->volume.FollowerSent(*sent);
  }
  void OnDone() override {
    if (const auto id = this->id()) (*use_)->volume.StopFollowing(*id);
    (*use_)->calls.Remove(&call_);
    use_.reset();
    std::exchange(self_, nullptr).reset();
  }

 private:
  FollowStream(grpc::CallbackServerContext* context, RedoUse use)
      : context_(*context), use_(std::make_unique<RedoUse>(std::move(use))) {}

  std::optional<compute::FollowerId> id() {
    std::lock_guard lock(mutex_);
    return id_;
  }

  absl::Status Open() {
    if (!request_.has_hello()) return absl::InvalidArgumentError("a redo stream begins with hello");
    auto hello = rpc::FromProto(request_.hello());
    if (!hello.ok()) return hello.status();
    // Under the lock: a message may be sent, and done with, before Follow returns.
    std::lock_guard lock(mutex_);
    if (id_) return absl::InvalidArgumentError("a redo stream has one hello");
    auto id = (*use_)->volume.Follow(*hello, self_);
    if (!id.ok()) return id.status();
    id_ = *id;
    return absl::OkStatus();
  }

  void EndWith(const absl::Status& why) {
    std::lock_guard lock(mutex_);
    if (why_) return;
    why_ = why;
    FinishLocked();
  }
  void FinishLocked() {
    if (is_writing_ || std::exchange(is_finished_, true)) return;
    Finish(rpc::ToGrpc(*why_));
  }

  class Call final : public OpenCall {
   public:
    explicit Call(FollowStream* stream) : stream_(*stream) {}
    void End(const absl::Status& why) override { stream_.EndWith(why); }
    void Cancel() override { stream_.context_.TryCancel(); }

   private:
    FollowStream& stream_;
  };

  grpc::CallbackServerContext& context_;
  Call call_{this};
  std::unique_ptr<RedoUse> use_;
  std::shared_ptr<FollowStream> self_;
  v1::FollowRequest request_;
  v1::FollowResponse response_;
  std::mutex mutex_;  // of what follows
  std::optional<compute::FollowerId> id_;
  bool is_writing_ = false;
  bool is_finished_ = false;
  std::optional<absl::Status> why_;  // set: it ends
};

class Refused final : public Reactor {
 public:
  explicit Refused(const absl::Status& why) { Finish(rpc::ToGrpc(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

RedoService::RedoService()
    : backend_(absl::FailedPreconditionError(
          "this node is not the writer: ask its ComputeService who is")) {}

void RedoService::Detach(RedoBackend* backend, const absl::Status& why) {
  backend_.Detach(why);
  backend->calls.EndAll(why);
}

void RedoService::AwaitUnused(RedoBackend* backend, absl::Duration patience) {
  if (backend_.AwaitUnused(patience)) return;
  backend->calls.CancelAll();
  backend_.AwaitUnused();
}

Reactor* RedoService::Follow(grpc::CallbackServerContext* context) {
  absl::StatusOr<RedoUse> use = backend_.Take();
  if (use.ok()) return FollowStream::Start(context, *std::move(use));
  return new Refused(use.status());
}

}  // namespace sextant::server
