// See grpc_storage_peer.h.
#include "compute-node/net/grpc_storage_peer.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <random>
#include <set>
#include <utility>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/logging.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "compute-node/net/append_stream.h"
#include "sextant/v1/storage.grpc.pb.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(3);

using Stub = v1::StorageService::Stub;

// What calls under way hold on to. `calls_` counts everything that may still call back.
class GrpcStoragePeer final : public StoragePeer {
 public:
  GrpcStoragePeer(GrpcPeerOptions options, TimerQueue* timers)
      : options_(std::move(options)),
        name_(Text("storage node ", options_.node, " (", options_.address, ")")),
        timers_(timers),
        control_channel_(rpc::MakeChannel(options_.address)),
        control_(v1::StorageService::NewStub(control_channel_)),
        reads_(v1::StorageService::NewStub(rpc::MakeChannel(options_.address))),
        prng_(std::random_device()()),
        back_off_(options_.reconnect_min) {}

  ~GrpcStoragePeer() override { Shutdown(); }

  const std::string& node() const override { return options_.node; }

  void OpenStream(StreamEvents events) override {
    {
      std::lock_guard lock(mutex_);
      events_ = std::move(events);
    }
    Connect();
  }

  void SendBatch(const log::EncodedBatch& batch) override {
    if (const auto stream = Stream()) stream->Send(batch);
  }

  void SendProbe(const protocol::EpochProbe& probe) override {
    if (const auto stream = Stream()) stream->Send(probe);
  }

  void GetStatus(absl::Duration timeout, Done<protocol::NodeStatus> done) override {
    Call<v1::GetStatusRequest, v1::NodeStatus, protocol::NodeStatus>(
        {}, timeout, std::move(done),
        [this](auto* context, auto* request, auto* response, auto finish) {
          control_->async()->GetStatus(context, request, response, std::move(finish));
        },
        [](const v1::NodeStatus& response) { return rpc::FromProto(response); });
  }

  void CreateSegment(const protocol::CreateSegmentRequest& request, absl::Duration timeout,
                     Done<protocol::SegmentStatus> done) override {
    v1::CreateSegmentRequest wire;
    rpc::ToProto(request, &wire);
    Call<v1::CreateSegmentRequest, v1::SegmentStatus, protocol::SegmentStatus>(
        std::move(wire), timeout, std::move(done),
        [this](auto* context, auto* request, auto* response, auto finish) {
          control_->async()->CreateSegment(context, request, response, std::move(finish));
        },
        [](const v1::SegmentStatus& response) { return rpc::FromProto(response); });
  }

  void DropSegment(const protocol::DropSegmentRequest& request, absl::Duration timeout,
                   Done<protocol::DropSegmentReply> done) override {
    v1::DropSegmentRequest wire;
    rpc::ToProto(request, &wire);
    Call<v1::DropSegmentRequest, v1::DropSegmentResponse, protocol::DropSegmentReply>(
        std::move(wire), timeout, std::move(done),
        [this](auto* context, auto* request, auto* response, auto finish) {
          control_->async()->DropSegment(context, request, response, std::move(finish));
        },
        [](const v1::DropSegmentResponse&) -> absl::StatusOr<protocol::DropSegmentReply> {
          return protocol::DropSegmentReply();
        });
  }

  void RaiseEpoch(const protocol::RaiseEpochRequest& request, absl::Duration timeout,
                  Done<protocol::SegmentStatus> done) override {
    v1::RaiseEpochRequest wire;
    rpc::ToProto(request, &wire);
    Call<v1::RaiseEpochRequest, v1::SegmentStatus, protocol::SegmentStatus>(
        std::move(wire), timeout, std::move(done),
        [this](auto* context, auto* request, auto* response, auto finish) {
          control_->async()->RaiseEpoch(context, request, response, std::move(finish));
        },
        [](const v1::SegmentStatus& response) { return rpc::FromProto(response); });
  }

  void ReadLog(const protocol::ReadLogRequest& request, absl::Duration timeout,
               Done<protocol::ReadLogReply> done) override {
    v1::ReadLogRequest wire;
    rpc::ToProto(request, &wire);
    Call<v1::ReadLogRequest, v1::ReadLogResponse, protocol::ReadLogReply>(
        std::move(wire), timeout, std::move(done),
        [this](auto* context, auto* request, auto* response, auto finish) {
          reads_->async()->ReadLog(context, request, response, std::move(finish));
        },
        [segment = request.segment](const v1::ReadLogResponse& response) {
          return rpc::FromProto(response, segment);
        });
  }

  void ReadPages(const protocol::ReadPagesRequest& request, absl::Duration timeout,
                 Done<protocol::ReadPagesReply> done) override {
    v1::ReadPagesRequest wire;
    rpc::ToProto(request, &wire);
    Call<v1::ReadPagesRequest, v1::ReadPagesResponse, protocol::ReadPagesReply>(
        std::move(wire), timeout, std::move(done),
        [this](auto* context, auto* request, auto* response, auto finish) {
          reads_->async()->ReadPages(context, request, response, std::move(finish));
        },
        [request](const v1::ReadPagesResponse& response) {
          return rpc::FromProto(response, request);
        });
  }

  void Shutdown() override {
    std::shared_ptr<AppendStream> stream;
    TimerQueue::Id timer = 0;
    {
      std::lock_guard lock(mutex_);
      is_shut_down_ = true;
      stream = stream_;
      timer = std::exchange(reconnect_timer_, 0);
      for (grpc::ClientContext* context : contexts_) context->TryCancel();
    }
    if (stream) stream->Cancel();
    if (timer != 0 && timers_->Cancel(timer)) EndCall();
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return calls_ == 0; });
  }

 private:
  std::shared_ptr<AppendStream> Stream() {
    std::lock_guard lock(mutex_);
    return stream_;
  }

  // One unary call. `start` hands it to gRPC, `convert` makes the reply of the response.
  template <typename Request, typename Response, typename Reply, typename Start, typename Convert>
  void Call(Request request, absl::Duration timeout, Done<Reply> done, Start start,
            Convert convert) {
    struct State {
      grpc::ClientContext context;
      Request request;
      Response response;
      Done<Reply> done;
    };
    auto state = std::make_shared<State>();
    state->request = std::move(request);
    state->done = std::move(done);
    state->context.set_deadline(std::chrono::system_clock::now() +
                                absl::ToChronoMicroseconds(timeout));
    if (!BeginCall(&state->context)) {
      return state->done(absl::UnavailableError(Text(name_, ": this side is shutting down")));
    }
    State* const call = state.get();
    start(&call->context, &call->request, &call->response,
          [this, state = std::move(state),
           convert = std::move(convert)](const grpc::Status& status) mutable {
            {
              std::lock_guard lock(mutex_);
              contexts_.erase(&state->context);
            }
            const Done<Reply> done = std::move(state->done);
            if (status.ok()) {
              done(convert(state->response));
            } else {
              done(rpc::FromGrpc(status, name_));
            }
            // The context refers to the channel: gone before Shutdown() may return, see
            // AppendStream.
            state = nullptr;
            EndCall();
          });
  }

  bool BeginCall(grpc::ClientContext* context = nullptr) {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return false;
    ++calls_;
    if (context) contexts_.insert(context);
    return true;
  }
  void EndCall() {
    std::lock_guard lock(mutex_);
    if (--calls_ == 0) idle_.notify_all();
  }

  // A stream to a node that is away would be "up" until gRPC finds out: ask for its status first.
  void Connect() {
    GetStatus(kConnectTimeout, [this](const absl::StatusOr<protocol::NodeStatus>& status) {
      if (!status.ok()) return Reconnect();
      if (status->node != options_.node) {
        spdlog::error("the storage node at this address has another name than configured{}",
                      rpc::Fields("address", options_.address, "expected", options_.node, "name",
                                  status->node));
        return Reconnect();
      }
      StreamUp();
    });
  }

  void StreamUp() {
    if (!BeginCall()) return;
    {
      std::lock_guard lock(mutex_);
      back_off_ = options_.reconnect_min;
      stream_ =
          AppendStream::Start(control_channel_, {name_, options_.max_queued_bytes},
                              {[this](const protocol::AppendAck& ack) { events_.on_ack(ack); },
                               [this](const protocol::EpochAnswer& answer) {
                                 if (events_.on_answer) events_.on_answer(answer);
                               },
                               [this](const absl::Status& why) { StreamDown(why); }});
    }
    events_.on_up();
    bool is_over = false;
    {
      std::lock_guard lock(mutex_);
      is_announced_ = true;
      is_over = pending_end_.has_value();
    }
    if (is_over) AnnounceDown();
  }

  void StreamDown(const absl::Status& why) {
    {
      std::lock_guard lock(mutex_);
      stream_ = nullptr;
      pending_end_ = why;
      if (!is_announced_) return;  // on_up is still under way: StreamUp goes on
    }
    AnnounceDown();
  }

  void AnnounceDown() {
    absl::Status why;
    bool is_wanted = false;
    {
      std::lock_guard lock(mutex_);
      if (!pending_end_) return;
      why = *std::exchange(pending_end_, std::nullopt);
      is_announced_ = false;
      is_wanted = !is_shut_down_;
    }
    if (is_wanted) events_.on_down(why);
    Reconnect();
    EndCall();
  }

  void Reconnect() {
    if (!BeginCall()) return;
    std::lock_guard lock(mutex_);
    const absl::Duration delay = back_off_ * (50 + static_cast<int>(prng_.Below(100))) / 100;
    back_off_ = std::min(2 * back_off_, options_.reconnect_max);
    reconnect_timer_ = timers_->After(delay, [this] {
      {
        std::lock_guard lock(mutex_);
        reconnect_timer_ = 0;
      }
      // The wait was ours: the channel's own back-off, on top of it, would only keep a node that is
      // back waiting.
      grpc::experimental::ChannelResetConnectionBackoff(control_channel_.get());
      Connect();
      EndCall();
    });
    if (is_shut_down_ && timers_->Cancel(std::exchange(reconnect_timer_, 0))) {
      if (--calls_ == 0) idle_.notify_all();
    }
  }

  const GrpcPeerOptions options_;
  const std::string name_;
  TimerQueue* const timers_;
  const std::shared_ptr<grpc::Channel> control_channel_;
  const std::unique_ptr<Stub> control_;
  const std::unique_ptr<Stub> reads_;

  std::mutex mutex_;
  std::condition_variable idle_;
  StreamEvents events_;  // set once, before the first connection
  std::shared_ptr<AppendStream> stream_;
  // on_up has returned, so on_down may come; and the end of a stream that waits for that.
  bool is_announced_ = false;
  std::optional<absl::Status> pending_end_;
  Prng prng_;
  absl::Duration back_off_;
  TimerQueue::Id reconnect_timer_ = 0;
  std::set<grpc::ClientContext*> contexts_;
  int calls_ = 0;
  bool is_shut_down_ = false;
};

}  // namespace

std::unique_ptr<StoragePeer> MakeGrpcStoragePeer(GrpcPeerOptions options, TimerQueue* timers) {
  return std::make_unique<GrpcStoragePeer>(std::move(options), timers);
}

}  // namespace sextant::compute
