// See executor.h.
#include "compute-node/sql/executor.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/sql/sql_error.h"

namespace sextant::sql {
namespace {

constexpr unsigned kLeastThreads = 8;

int ThreadCount(int wanted) {
  if (wanted > 0) return wanted;
  return static_cast<int>(std::max(kLeastThreads, 4 * std::thread::hardware_concurrency()));
}

// Takes the one response of a batch, and knows whether the batch is still under way.
class BatchSink : public ResponseSink {
 public:
  explicit BatchSink(std::function<void(Response)> done) : done_(std::move(done)) {}

  void Send(Response response, std::function<void(bool)> sent) override {
    {
      std::lock_guard lock(mutex_);
      is_done_ = true;
    }
    done_(std::move(response));
    sent(true);
  }
  bool is_one_shot() const override { return true; }
  void Abort() override {}

  // The session may run somebody else's batch next: it is cancelled only during this one.
  void Cancel(Session& session) {
    std::lock_guard lock(mutex_);
    if (!is_done_) session.Cancel();
  }

 private:
  std::function<void(Response)> done_;
  std::mutex mutex_;
  bool is_done_ = false;
};

}  // namespace

SqlExecutor::SqlExecutor(compute::PageVolume* volume, compute::WriteTicketQueue* tickets,
                         SqlOptions options)
    : owned_engine_(std::make_unique<VolumeEngine>(volume)),
      engine_(owned_engine_.get()),
      tickets_(tickets),
      options_(std::move(options)),
      pool_(std::make_unique<WorkerPool>(ThreadCount(options_.threads))) {}

SqlExecutor::SqlExecutor(SqlEngine* engine, compute::WriteTicketQueue* tickets, SqlOptions options)
    : engine_(engine),
      tickets_(tickets),
      options_(std::move(options)),
      pool_(std::make_unique<WorkerPool>(ThreadCount(options_.threads))) {}

SqlExecutor::~SqlExecutor() { Stop(); }

absl::StatusOr<std::shared_ptr<Session>> SqlExecutor::NewSession() {
  {
    std::lock_guard lock(mutex_);
    if (!why_closed_.ok()) return why_closed_;
    if (open_ - idle_batches_.size() >= options_.max_sessions) {
      return absl::ResourceExhaustedError(Text("too many SQL sessions: ", options_.max_sessions,
                                               " are open; close some, then retry"));
    }
    ++open_;
  }
  auto connection = engine_->Open(options_.connection);
  if (!connection.ok()) {
    SessionGone();
    return connection.status();
  }
  auto session = std::make_shared<Session>(this, *std::move(connection));
  std::lock_guard lock(mutex_);
  if (sessions_.size() > 2 * open_) std::erase_if(sessions_, [](auto& s) { return s.expired(); });
  sessions_.push_back(session);
  if (!why_closed_.ok()) session->Close();
  return session;
}

absl::StatusOr<std::shared_ptr<Session>> SqlExecutor::OpenSession() { return NewSession(); }

absl::StatusOr<std::shared_ptr<Session>> SqlExecutor::TakeIdleOrNew() {
  {
    std::lock_guard lock(mutex_);
    if (why_closed_.ok() && !idle_batches_.empty()) {
      auto session = std::move(idle_batches_.back());
      idle_batches_.pop_back();
      return session;
    }
  }
  return NewSession();
}

std::function<void()> SqlExecutor::Batch(Request request, std::function<void(Response)> done) {
  auto session = TakeIdleOrNew();
  if (!session.ok()) {
    Response refused{.id = request.id, .is_last = true};
    refused.error = ErrorFromStatus(session.status(),
                                    /*is_retriable=*/!absl::IsFailedPrecondition(session.status()));
    done(std::move(refused));
    return [] {};
  }
  auto sink = std::make_shared<BatchSink>(std::move(done));
  (*session)->Execute(std::move(request), sink, [this, session = *session] { EndBatch(session); });
  return [sink, session = *session] { sink->Cancel(*session); };
}

void SqlExecutor::EndBatch(std::shared_ptr<Session> session) {
  const bool is_clean = session->PrepareForNextUser();
  if (is_clean) {
    std::lock_guard lock(mutex_);
    if (why_closed_.ok() && idle_batches_.size() < options_.max_idle_connections) {
      idle_batches_.push_back(std::move(session));
      return;
    }
  }
  session->Close();
}

void SqlExecutor::SessionGone() {
  std::lock_guard lock(mutex_);
  --open_;
  session_gone_.notify_all();
}

size_t SqlExecutor::open_sessions() const {
  std::lock_guard lock(mutex_);
  return open_ - idle_batches_.size();
}

absl::Status SqlExecutor::why_closed() const {
  std::lock_guard lock(mutex_);
  return why_closed_;
}

void SqlExecutor::CloseSessions(const absl::Status& why) {
  std::vector<std::shared_ptr<Session>> open;
  {
    std::lock_guard lock(mutex_);
    if (why_closed_.ok()) why_closed_ = why;
    open = std::exchange(idle_batches_, {});
    for (const auto& weak : sessions_) {
      if (auto session = weak.lock()) open.push_back(std::move(session));
    }
  }
  for (const auto& session : open) session->Close();
}

void SqlExecutor::Stop() {
  CloseSessions(absl::UnavailableError("the volume is being closed: retry elsewhere"));
  {
    std::unique_lock lock(mutex_);
    session_gone_.wait(lock, [this] { return open_ == 0; });
  }
  pool_->Stop();
}

}  // namespace sextant::sql
