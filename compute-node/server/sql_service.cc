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

grpc::Status NotOpen() {
  return rpc::ToGrpc(
      absl::UnavailableError("the volume is not open on this node, which may still be recovering: "
                             "retry, or ask ComputeService "
                             "what it waits for"));
}

// One client's stream. It deletes itself in OnDone, which comes after Finish, and Finish is called
// only when no request is under way: so the sink that a request holds never outlives its use of it.
class SessionReactor : public grpc::ServerBidiReactor<v1::SqlRequest, v1::SqlResponse> {
 public:
  explicit SessionReactor(grpc::CallbackServerContext* context)
      : context_(context), sink_(std::make_shared<Sink>(this)) {}

  // Opens the session, here and now, and begins to read.
  void Open(sql::SqlExecutor& executor) {
    absl::StatusOr<std::shared_ptr<sql::Session>> session = executor.OpenSession();
    if (!session.ok()) {
      Finish(rpc::ToGrpc(session.status()));
      return;
    }
    bool is_cancelled = false;
    {
      std::lock_guard lock(mutex_);
      session_ = *std::move(session);
      is_cancelled = is_cancelled_;
    }
    if (is_cancelled) session_->Cancel();
    // Tells the client that from here on a lost stream may have done something (sql.proto).
    context_->AddInitialMetadata("sextant-session", "open");
    StartSendInitialMetadata();
    StartRead(&incoming_);
  }
  void Refuse(const grpc::Status& status) { Finish(status); }

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
    sink_->Leave();
    if (session_ != nullptr) session_->Close();
    delete this;
  }

 private:
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

  // Starts the next request if none is under way, or ends the stream if none will come.
  void RunNext() {
    sql::Request request;
    bool must_read = false;
    bool is_end = false;
    {
      std::lock_guard lock(mutex_);
      if (is_busy_ || is_finished_) return;
      if (is_cancelled_) queue_.clear();
      if (queue_.empty() && !has_read_all_ && !is_cancelled_) return;
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
      Finish(grpc::Status::OK);
      return;
    }
    if (must_read) StartRead(&incoming_);
    session_->Execute(std::move(request), sink_, [this] {
      {
        std::lock_guard lock(mutex_);
        is_busy_ = false;
      }
      RunNext();
    });
  }

  grpc::CallbackServerContext* const context_;
  const std::shared_ptr<Sink> sink_;
  v1::SqlRequest incoming_;
  v1::SqlResponse outgoing_;
  std::function<void(bool)> sent_;

  std::mutex mutex_;  // of what follows
  std::shared_ptr<sql::Session> session_;
  std::deque<sql::Request> queue_;
  bool is_busy_ = false;
  bool is_read_paused_ = false;
  bool has_read_all_ = false;
  bool is_cancelled_ = false;
  bool is_finished_ = false;
};

class BatchReactor : public grpc::ServerUnaryReactor {
 public:
  explicit BatchReactor(v1::SqlResponse* response) : response_(response) {}

  void Run(sql::SqlExecutor& executor, sql::Request request) {
    std::function<void()> cancel =
        executor.Batch(std::move(request), [this](sql::Response response) {
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
  // Both Run and the batch have to be done with this object before it may go.
  void Release() {
    if (users_.fetch_sub(1) == 1) Finish(grpc::Status::OK);
  }

  v1::SqlResponse* const response_;
  std::atomic<int> users_{2};
  std::mutex mutex_;
  bool is_cancelled_ = false;
  std::function<void()> cancel_;
};

}  // namespace

void SqlService::Attach(sql::SqlExecutor* executor) {
  std::lock_guard lock(mutex_);
  executor_ = executor;
}

void SqlService::Detach() {
  std::lock_guard lock(mutex_);
  executor_ = nullptr;
}

bool SqlService::WithExecutor(const std::function<void(sql::SqlExecutor&)>& use) {
  std::lock_guard lock(mutex_);
  if (executor_ == nullptr) return false;
  use(*executor_);
  return true;
}

grpc::ServerBidiReactor<v1::SqlRequest, v1::SqlResponse>* SqlService::Session(
    grpc::CallbackServerContext* context) {
  auto* reactor = new SessionReactor(context);
  // On the pool, for a cold cache makes opening a session read pages.
  const bool is_open = WithExecutor([reactor](sql::SqlExecutor& executor) {
    executor.pool().Post([reactor, &executor] { reactor->Open(executor); });
  });
  if (!is_open) reactor->Refuse(NotOpen());
  return reactor;
}

grpc::ServerUnaryReactor* SqlService::Batch(grpc::CallbackServerContext* context,
                                            const v1::SqlRequest* request,
                                            v1::SqlResponse* response) {
  // The request is gRPC's, and const only for form's sake: its texts are copied, not moved.
  auto copy = std::make_shared<v1::SqlRequest>(*request);
  auto* reactor = new BatchReactor(response);
  const bool is_open = WithExecutor([reactor, copy](sql::SqlExecutor& executor) {
    executor.pool().Post(
        [reactor, copy, &executor] { reactor->Run(executor, FromProto(copy.get())); });
  });
  if (is_open) return reactor;
  delete reactor;
  auto* refused = context->DefaultReactor();
  refused->Finish(NotOpen());
  return refused;
}

}  // namespace sextant::server
