// See sql_service.h.
#include "compute-node/server/sql_service.h"

#include <deque>
#include <memory>
#include <utility>

#include "common/rpc/status.h"
#include "compute-node/server/sql_wire.h"

namespace sextant::server {
namespace {

// Requests read ahead of the one under way; a client that sends more is not read from for a while.
constexpr size_t kMaxQueuedRequests = 16;

using ExecutorUse = Attachment<sql::SqlExecutor>::Use;
using SqlReactor = grpc::ServerBidiReactor<v1::SqlRequest, v1::SqlResponse>;

class RefusedReactor final : public SqlReactor {
 public:
  explicit RefusedReactor(const absl::Status& why) { Finish(rpc::ToGrpc(why)); }
  void OnDone() override { delete this; }
};

// One client's stream. It deletes itself in OnDone, which comes after Finish, and Finish is called
// only when no request is under way: so the sink that a request holds never outlives its use of it.
class SessionReactor final : public SqlReactor, private OpenCall {
 public:
  SessionReactor(grpc::CallbackServerContext* context, ExecutorUse use, OpenCalls* sessions)
      : context_(context),
        use_(std::move(use)),
        sessions_(*sessions),
        sink_(std::make_shared<Sink>(this)) {
    sessions_.Add(this);
  }

  // Opens the session on the pool, for a cold cache makes that read pages.
  void Start() {
    use_->pool().Post([this] { Open(); });
  }

  void OnReadDone(bool ok) override {
    bool is_paused = false;
    {
      std::lock_guard lock(mutex_);
      if (ok) {
        queue_.push_back(FromProto(&incoming_));
        is_paused = is_read_paused_ = queue_.size() >= kMaxQueuedRequests;
      } else {
        has_read_all_ = true;
      }
    }
    if (ok && !is_paused) StartRead(&incoming_);
    RunNext();
  }

  void OnWriteDone(bool ok) override { std::exchange(sent_, nullptr)(ok); }

  void OnCancel() override {
    std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    if (session_ != nullptr) session_->Cancel();
  }

  void OnDone() override {
    sessions_.Remove(this);
    sink_->Leave();
    if (session_ != nullptr) session_->Close();
    delete this;
  }

 private:
  // The session, here and now; then begins to read.
  void Open() {
    absl::StatusOr<std::shared_ptr<sql::Session>> session = use_->OpenSession();
    bool is_cancelled = false;
    {
      std::lock_guard lock(mutex_);
      if (session.ok()) session_ = *std::move(session);
      is_finished_ = !session.ok();
      is_cancelled = is_cancelled_;
    }
    if (!session.ok()) return Finish(rpc::ToGrpc(session.status()));
    if (is_cancelled) session_->Cancel();
    // Tells the client that from here on a lost stream may have done something (sql.proto).
    context_->AddInitialMetadata("sextant-session", "open");
    StartSendInitialMetadata();
    StartRead(&incoming_);
    RunNext(/*is_turn_over=*/true);  // ends it, if that is wanted already
  }

  void End(const absl::Status& why) override {
    {
      std::lock_guard lock(mutex_);
      why_ending_ = why;
    }
    RunNext();
  }
  void Cancel() override { context_->TryCancel(); }

  // What a request holds; it may outlive the reactor by the length of a timer.
  class Sink : public sql::ResponseSink {
   public:
    explicit Sink(SessionReactor* reactor) : reactor_(reactor) {}
    void Send(sql::Response response, std::function<void(bool)> sent) override {
      reactor_->Write(std::move(response), std::move(sent));
    }
    bool is_one_shot() const override { return false; }
    void Abort() override {
      std::lock_guard lock(mutex_);
      if (reactor_ != nullptr) reactor_->context_->TryCancel();
    }
    void Leave() {
      std::lock_guard lock(mutex_);
      reactor_ = nullptr;
    }

   private:
    std::mutex mutex_;
    SessionReactor* reactor_;
  };

  void Write(sql::Response response, std::function<void(bool)> sent) {
    ToProto(std::move(response), &outgoing_);
    sent_ = std::move(sent);
    StartWrite(&outgoing_);
  }

  // Starts the next request if none is under way, or ends the stream if none will come. Whoever was
  // busy says so here, with its turn, and does nothing after it: as soon as nobody is busy any
  // thread may end the stream, and with it this object.
  void RunNext(bool is_turn_over = false) {
    sql::Request request;
    bool must_read = false;
    bool is_end = false;
    absl::Status why;
    {
      std::lock_guard lock(mutex_);
      if (is_turn_over) is_busy_ = false;
      if (is_busy_ || is_finished_) return;
      why = why_ending_;
      if (is_cancelled_ || !why.ok()) queue_.clear();
      if (queue_.empty() && !has_read_all_ && !is_cancelled_ && why.ok()) return;
      if (queue_.empty()) {
        is_end = is_finished_ = true;
      } else {
        is_busy_ = true;
        request = std::move(queue_.front());
        queue_.pop_front();
        must_read = std::exchange(is_read_paused_, false);
      }
    }
    if (is_end) {
      // Every request that was begun is answered.
      if (!why.ok()) context_->AddTrailingMetadata("sextant-unanswered", "not-executed");
      Finish(rpc::ToGrpc(why));
      return;
    }
    if (must_read) StartRead(&incoming_);
    session_->Execute(std::move(request), sink_, [this] { RunNext(/*is_turn_over=*/true); });
  }

  grpc::CallbackServerContext* const context_;
  const ExecutorUse use_;
  OpenCalls& sessions_;
  const std::shared_ptr<Sink> sink_;
  v1::SqlRequest incoming_;
  v1::SqlResponse outgoing_;
  std::function<void(bool)> sent_;

  std::mutex mutex_;  // of what follows
  std::shared_ptr<sql::Session> session_;
  std::deque<sql::Request> queue_;
  bool is_busy_ = true;  // a request, or at first the opening, is under way
  bool is_read_paused_ = false;
  bool has_read_all_ = false;
  bool is_cancelled_ = false;
  bool is_finished_ = false;
  absl::Status why_ending_;  // not OK: no request is begun any more
};

class BatchReactor final : public grpc::ServerUnaryReactor {
 public:
  // The request is gRPC's, and const only for form's sake: its texts are copied, not moved.
  BatchReactor(ExecutorUse use, const v1::SqlRequest& request, v1::SqlResponse* response)
      : use_(std::move(use)), request_(request), response_(response) {}

  void Start() {
    use_->pool().Post([this] { Run(); });
  }

  void OnCancel() override {
    std::function<void()> cancel;
    {
      std::lock_guard lock(mutex_);
      is_cancelled_ = true;
      cancel = cancel_;
    }
    if (cancel) cancel();
  }
  void OnDone() override { delete this; }

 private:
  void Run() {
    std::function<void()> cancel =
        use_->Batch(FromProto(&request_), [this](sql::Response response) {
          ToProto(std::move(response), response_);
          Release();
        });
    bool is_cancelled = false;
    {
      std::lock_guard lock(mutex_);
      cancel_ = cancel;
      is_cancelled = is_cancelled_;
    }
    if (is_cancelled) cancel();
    Release();
  }

  // Both Run and the batch have to be done with this object before it may go.
  void Release() {
    if (users_.fetch_sub(1) == 1) Finish(grpc::Status::OK);
  }

  const ExecutorUse use_;
  v1::SqlRequest request_;
  v1::SqlResponse* const response_;
  std::atomic<int> users_{2};
  std::mutex mutex_;
  bool is_cancelled_ = false;
  std::function<void()> cancel_;
};

}  // namespace

SqlService::SqlService()
    : executor_(absl::UnavailableError(
          "the volume is not open on this node, which may still be recovering: retry, or ask "
          "ComputeService what it waits for")) {}

void SqlService::Attach(sql::SqlExecutor* executor) {
  sessions_.Reset();
  executor_.Attach(executor);
}

void SqlService::Detach(const absl::Status& why) {
  executor_.Detach(why);
  sessions_.EndAll(why);
}

void SqlService::AwaitUnused(absl::Duration patience) {
  if (executor_.AwaitUnused(patience)) return;
  sessions_.CancelAll();
  executor_.AwaitUnused();
}

grpc::ServerBidiReactor<v1::SqlRequest, v1::SqlResponse>* SqlService::Session(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<ExecutorUse> use = executor_.Take();
  if (!use.ok()) return new RefusedReactor(use.status());
  auto* const reactor = new SessionReactor(context, *std::move(use), &sessions_);
  reactor->Start();
  return reactor;
}

grpc::ServerUnaryReactor* SqlService::Batch(grpc::CallbackServerContext* context,
                                            const v1::SqlRequest* request,
                                            v1::SqlResponse* response) {
  absl::StatusOr<ExecutorUse> use = executor_.Take();
  if (!use.ok()) {
    auto* const refused = context->DefaultReactor();
    refused->Finish(rpc::ToGrpc(use.status()));
    return refused;
  }
  auto* const reactor = new BatchReactor(*std::move(use), *request, response);
  reactor->Start();
  return reactor;
}

}  // namespace sextant::server
