// LoadGenerator: keeps N clients busy over bidirectional streams, each with one request under way.
// Where the protocol lets them, the requests that wait on a stream share a message.
//
// One thread and one completion queue drive them all: on a machine that the servers share, a client
// that switches threads would measure itself. A client's time runs from when it wants to send until
// its answer was read. With a rate, requests fall due at even distances, whoever is free takes the
// next, and one that goes out late because all clients were busy has been waiting since it was due:
// a server that pauses is charged for everything that it kept waiting.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/histogram.h"
#include "common/rpc/status.h"

namespace sextant::cli {

struct LoadResult {
  Histogram latency_ns;
  uint64_t commits = 0;  // answered without error while measuring
  uint64_t errors = 0;   // answered with one
  std::string first_error;
  absl::Status broken;  // a stream that ended
};

template <typename Request, typename Response>
class LoadGenerator {
 public:
  using Stream = grpc::ClientAsyncReaderWriter<Request, Response>;
  struct Hooks {
    std::function<std::unique_ptr<Stream>(grpc::ClientContext*, grpc::CompletionQueue*)> prepare;
    // Adds the request of an id to a message; where that holds one only, writes it over the last.
    std::function<void(uint64_t id, Request*)> add;
    size_t max_requests = 1;  // of a message
    // Says of every request that the message completes how it went; an empty error: well.
    using Answered = std::function<void(uint64_t id, const std::string& error)>;
    std::function<void(const Response&, const Answered&)> read;
  };

  // Clients are spread evenly over `streams`. `rate`: requests a second of them all; 0: unbounded.
  LoadGenerator(Hooks hooks, int clients, int streams, double rate = 0)
      : hooks_(std::move(hooks)),
        interval_(rate > 0 ? Clock::duration(static_cast<int64_t>(1e9 / rate))
                           : Clock::duration::zero()),
        due_(Clock::now()) {
    for (int i = 0; i < streams; ++i) {
      const int count = clients / streams + (i < clients % streams ? 1 : 0);
      lanes_.push_back(std::make_unique<Lane>(static_cast<size_t>(count)));
    }
    for (auto& lane : lanes_) {
      lane->stream = hooks_.prepare(&lane->context, &queue_);
      lane->stream->StartCall(&lane->on_start);
    }
    thread_ = std::thread([this] { Loop(); });
  }
  ~LoadGenerator() {
    if (thread_.joinable()) Stop();
  }

  void SetMeasuring(bool measuring) { is_measuring_ = measuring; }
  uint64_t answered() const { return answered_; }
  bool is_broken() const { return is_broken_; }

  // No new requests; those under way get up to ten seconds. The result is then final.
  const LoadResult& Stop() {
    is_stopping_ = true;
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    while (under_way_ > 0 && !is_broken_ && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (auto& lane : lanes_) lane->context.TryCancel();
    // Each lane answers with its end; only then may the queue close.
    while (finished_ < lanes_.size()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // None is set any more: the thread has seen that we are stopping, or it had not seen the ends.
    for (auto& lane : lanes_) {
      for (Client& client : lane->clients) client.alarm.Cancel();
    }
    queue_.Shutdown();
    thread_.join();
    return result_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Event { kStarted, kWritten, kRead, kFinished, kDue };
  struct Lane;
  struct Tag {
    Lane* lane;
    Event event;
    size_t client = 0;  // of kDue
  };
  struct Client {
    Clock::time_point start;  // when its request wanted to go out
    grpc::Alarm alarm;
    Tag on_due;
  };
  struct Lane {
    explicit Lane(size_t count) : clients(count) {
      for (size_t i = 0; i < count; ++i) clients[i].on_due = {this, Event::kDue, i};
    }
    Tag on_start{this, Event::kStarted}, on_write{this, Event::kWritten},
        on_read{this, Event::kRead}, on_finish{this, Event::kFinished};
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
    std::vector<Client> clients;
    std::deque<size_t> waiting;  // clients whose request waits for the write before it
    bool is_writing = false;
    bool is_finishing = false;
    Request request;
    Response response;
    grpc::Status status;
  };

  void Loop() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      const Tag& event = *static_cast<Tag*>(tag);
      if (event.event == Event::kFinished) {
        Break(event.lane->status);
        ++finished_;
      } else if (event.event == Event::kDue) {
        WantNow(event.lane, event.client, Clock::now());  // an alarm's own lateness is not counted
        WriteNext(event.lane);
      } else if (!ok) {
        Finish(event.lane);
      } else {
        Handle(event.lane, event.event);
      }
    }
  }

  void Handle(Lane* lane, Event event) {
    if (event == Event::kStarted) {
      for (size_t client = 0; client < lane->clients.size(); ++client) Want(lane, client);
      WriteNext(lane);
      lane->stream->Read(&lane->response, &lane->on_read);
    } else if (event == Event::kWritten) {
      lane->is_writing = false;
      WriteNext(lane);
    } else {
      Answered(lane);
      lane->stream->Read(&lane->response, &lane->on_read);
    }
  }

  void Want(Lane* lane, size_t client) {
    if (is_stopping_) return;
    const auto now = Clock::now();
    if (interval_ == Clock::duration::zero()) return WantNow(lane, client, now);
    const auto due = std::exchange(due_, due_ + interval_);
    if (due <= now) return WantNow(lane, client, due);
    lane->clients[client].alarm.Set(&queue_, std::chrono::system_clock::now() + (due - now),
                                    &lane->clients[client].on_due);
  }

  void WantNow(Lane* lane, size_t client, Clock::time_point since) {
    if (is_stopping_ || lane->is_finishing) return;
    ++under_way_;
    lane->clients[client].start = since;
    lane->waiting.push_back(client);
  }

  void WriteNext(Lane* lane) {
    if (lane->is_writing || lane->waiting.empty()) return;
    lane->is_writing = true;
    if (hooks_.max_requests > 1) lane->request.Clear();
    for (size_t i = 0; i < hooks_.max_requests && !lane->waiting.empty(); ++i) {
      hooks_.add(lane->waiting.front() + 1, &lane->request);
      lane->waiting.pop_front();
    }
    lane->stream->Write(lane->request, &lane->on_write);
  }

  void Answered(Lane* lane) {
    hooks_.read(lane->response, [this, lane](uint64_t id, const std::string& error) {
      if (id >= 1 && id <= lane->clients.size()) Answered(lane, static_cast<size_t>(id - 1), error);
    });
    WriteNext(lane);
  }

  void Answered(Lane* lane, size_t client, const std::string& error) {
    --under_way_;
    ++answered_;
    if (!error.empty()) {
      ++result_.errors;
      if (result_.first_error.empty()) result_.first_error = error;
    } else if (is_measuring_) {
      ++result_.commits;
      const auto took = Clock::now() - lane->clients[client].start;
      result_.latency_ns.Record(static_cast<uint64_t>(took.count()));
    }
    Want(lane, client);
  }

  void Finish(Lane* lane) {
    if (lane->is_finishing) return;
    lane->is_finishing = true;
    lane->stream->Finish(&lane->status, &lane->on_finish);
  }

  void Break(const grpc::Status& status) {
    if (is_stopping_ || is_broken_) return;
    result_.broken = rpc::FromGrpc(status, "a stream ended");
    if (result_.broken.ok()) result_.broken = absl::UnavailableError("the server ended a stream");
    is_broken_ = true;
  }

  const Hooks hooks_;
  const Clock::duration interval_;  // between requests; zero: as fast as they are answered
  Clock::time_point due_;           // of the next request; of the thread, as what lanes hold
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::thread thread_;
  LoadResult result_;  // of the thread, until it was joined
  std::atomic<bool> is_measuring_{false}, is_stopping_{false}, is_broken_{false};
  std::atomic<int64_t> under_way_{0};
  std::atomic<uint64_t> answered_{0};
  std::atomic<size_t> finished_{0};
};

}  // namespace sextant::cli
