// See grpc_redo_source.h.
#include "compute-node/reader/grpc_redo_source.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/redo_wire.h"
#include "common/rpc/status.h"
#include "compute-node/replica/writer_choice.h"
#include "sextant/v1/compute.grpc.pb.h"
#include "sextant/v1/redo.grpc.pb.h"

namespace sextant::compute {
namespace {

class GrpcRedoSource final : public RedoSource {
 public:
  explicit GrpcRedoSource(GrpcRedoSourceOptions options) : options_(std::move(options)) {
    for (const ComputeNodeName& node : options_.nodes) {
      const auto channel = rpc::MakeChannel(node.address);
      asks_.push_back(v1::ComputeService::NewStub(channel));
      redo_.push_back(v1::RedoService::NewStub(channel));
    }
  }
  ~GrpcRedoSource() override { Shutdown(); }

  void Open(protocol::FollowHello hello, Events events) override;
  void Report(const protocol::FollowProgress& progress) override;
  void Close() override;
  void Shutdown() override;

 private:
  class Search;
  class Stream;

  // Counts calls under way; Shutdown waits for them.
  bool Begin() {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return false;
    ++under_way_;
    return true;
  }
  void End() {
    std::lock_guard lock(mutex_);
    if (--under_way_ == 0) idle_.notify_all();
  }

  const GrpcRedoSourceOptions options_;
  std::vector<std::unique_ptr<v1::ComputeService::Stub>> asks_;  // by node
  std::vector<std::unique_ptr<v1::RedoService::Stub>> redo_;     // likewise
  std::mutex mutex_;
  std::condition_variable idle_;
  int under_way_ = 0;
  bool is_shut_down_ = false;
  std::shared_ptr<Stream> stream_;
};

// One reader's stream as its client has it. Kept by itself until it is done.
class GrpcRedoSource::Stream final
    : public grpc::ClientBidiReactor<v1::FollowRequest, v1::FollowResponse> {
 public:
  static std::shared_ptr<Stream> Make(GrpcRedoSource* owner, std::string writer, Events events) {
    std::shared_ptr<Stream> stream(new Stream(owner, std::move(writer), std::move(events)));
    stream->self_ = stream;
    return stream;
  }

  void Start(v1::RedoService::Stub* stub, const protocol::FollowHello& hello) {
    stub->async()->Follow(&context_, this);
    rpc::ToProto(hello, request_.mutable_hello());
    is_writing_ = true;
    StartWrite(&request_);
    StartRead(&response_);
    // Progress is sent from outside gRPC's callbacks: the hold keeps the call from being done
    // before the last read is.
    AddHold();
    StartCall();
  }
  void Report(const protocol::FollowProgress& progress) {
    std::lock_guard lock(mutex_);
    next_ = progress;
    WriteLocked();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return LetGo();  // OnDone says why
    absl::StatusOr<protocol::FollowMessage> message = rpc::FromProto(std::move(response_));
    if (!message.ok()) return Fail(message.status());
    events_.on_message(*std::move(message));
    response_.Clear();
    StartRead(&response_);
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    is_writing_ = false;
    is_broken_ |= !ok;
    WriteLocked();
  }
  void OnDone(const grpc::Status& status) override {
    const auto self = std::move(self_);
    {
      std::lock_guard lock(owner_.mutex_);
      if (owner_.stream_ == self) owner_.stream_ = nullptr;
    }
    absl::Status why;
    {
      std::lock_guard lock(mutex_);
      why = error_.ok() ? rpc::FromGrpc(status, writer_) : error_;
    }
    if (why.ok()) why = absl::UnavailableError("the writer ended the redo stream");
    events_.on_end(why);
    owner_.End();
  }

 private:
  Stream(GrpcRedoSource* owner, std::string writer, Events events)
      : owner_(*owner), writer_(std::move(writer)), events_(std::move(events)) {}

  void Fail(absl::Status error) {
    {
      std::lock_guard lock(mutex_);
      error_ = std::move(error);
    }
    Cancel();
    LetGo();
  }
  // No write starts any more.
  void LetGo() {
    {
      std::lock_guard lock(mutex_);
      is_broken_ = true;
    }
    RemoveHold();
  }
  void WriteLocked() {
    if (is_writing_ || is_broken_ || !next_) return;
    request_.Clear();
    rpc::ToProto(*std::exchange(next_, std::nullopt), request_.mutable_progress());
    is_writing_ = true;
    StartWrite(&request_);
  }

  GrpcRedoSource& owner_;
  const std::string writer_;
  const Events events_;
  std::shared_ptr<Stream> self_;
  grpc::ClientContext context_;
  v1::FollowRequest request_;
  v1::FollowResponse response_;
  std::mutex mutex_;  // of what follows
  std::optional<protocol::FollowProgress> next_;
  bool is_writing_ = false;
  bool is_broken_ = false;
  absl::Status error_;
};

// Asks all nodes; once all have answered, or their time is over, follows the writer among them.
class GrpcRedoSource::Search : public std::enable_shared_from_this<Search> {
 public:
  Search(GrpcRedoSource* owner, protocol::FollowHello hello, Events events)
      : owner_(*owner),
        hello_(std::move(hello)),
        events_(std::move(events)),
        calls_(owner_.asks_.size()) {}

  void Run() {
    left_ = calls_.size();
    if (left_ == 0) return Finish();
    for (size_t i = 0; i < calls_.size(); ++i) {
      calls_[i].context.set_deadline(std::chrono::system_clock::now() +
                                     absl::ToChronoMilliseconds(owner_.options_.ask_timeout));
      owner_.asks_[i]->async()->GetStatus(
          &calls_[i].context, &request_, &calls_[i].status,
          [self = shared_from_this(), i](const grpc::Status& outcome) {
            self->Answered(i, outcome.ok());
          });
    }
  }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::ComputeStatus status;
    bool is_answered = false;
  };

  void Answered(size_t i, bool ok) {
    {
      std::lock_guard lock(mutex_);
      calls_[i].is_answered = ok;
      if (--left_ > 0) return;
    }
    Finish();
  }

  void Finish() {
    std::vector<ComputeNodeAnswer> answers;
    for (size_t i = 0; i < calls_.size(); ++i) {
      const v1::ComputeStatus& status = calls_[i].status;
      answers.push_back({.node = owner_.options_.nodes[i].node,
                         .is_open_writer = calls_[i].is_answered && status.role() == "writer" &&
                                           status.phase() == "open",
                         .volume = VolumeId(status.volume()),
                         .epoch = VolumeEpoch(status.epoch())});
    }
    const auto chosen = ChooseWriter(answers, hello_.volume, hello_.epoch);
    std::shared_ptr<Stream> stream;
    if (chosen) {
      std::lock_guard lock(owner_.mutex_);
      if (!owner_.is_shut_down_) {
        stream = owner_.stream_ =
            Stream::Make(&owner_, owner_.options_.nodes[*chosen].node, events_);
      }
    }
    if (stream == nullptr) {
      events_.on_end(absl::UnavailableError(
          Text("none of ", calls_.size(), " compute nodes is an open writer now")));
      return owner_.End();
    }
    events_.on_found(owner_.options_.nodes[*chosen]);
    stream->Start(owner_.redo_[*chosen].get(), hello_);
  }

  GrpcRedoSource& owner_;
  const protocol::FollowHello hello_;
  const Events events_;
  const v1::ComputeStatusRequest request_;
  std::mutex mutex_;
  size_t left_ = 0;
  std::vector<Call> calls_;
};

void GrpcRedoSource::Open(protocol::FollowHello hello, Events events) {
  if (!Begin()) return;
  std::make_shared<Search>(this, std::move(hello), std::move(events))->Run();
}

void GrpcRedoSource::Report(const protocol::FollowProgress& progress) {
  std::shared_ptr<Stream> stream;
  {
    std::lock_guard lock(mutex_);
    stream = stream_;
  }
  if (stream != nullptr) stream->Report(progress);
}

void GrpcRedoSource::Close() {
  std::shared_ptr<Stream> stream;
  {
    std::lock_guard lock(mutex_);
    stream = stream_;
  }
  if (stream != nullptr) stream->Cancel();
}

void GrpcRedoSource::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    is_shut_down_ = true;
  }
  Close();
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return under_way_ == 0; });
}

}  // namespace

std::unique_ptr<RedoSource> MakeGrpcRedoSource(GrpcRedoSourceOptions options) {
  return std::make_unique<GrpcRedoSource>(std::move(options));
}

}  // namespace sextant::compute
