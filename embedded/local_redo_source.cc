// See local_redo_source.h.
#include "embedded/local_redo_source.h"

#include <utility>

namespace sextant::embedded {

using compute::FollowerId;

void ReaderFaults::SetPaused(bool is_paused) {
  std::lock_guard lock(mutex_);
  is_paused_ = is_paused;
  changed_.notify_all();
}

void ReaderFaults::AwaitUnpaused() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !is_paused_; });
}

void ReaderFaults::SetConnected(bool is_connected) {
  std::lock_guard lock(mutex_);
  is_connected_ = is_connected;
}

bool ReaderFaults::is_connected() {
  std::lock_guard lock(mutex_);
  return is_connected_;
}

// What the writer calls; hands everything to the source's thread.
class LocalRedoSource::Follower final : public compute::RedoFollower {
 public:
  Follower(LocalRedoSource* source, uint64_t stream)
      : source_(*source), tasks_(source->tasks_), stream_(stream) {}
  void Send(protocol::FollowMessage message) override {
    auto shared = std::make_shared<protocol::FollowMessage>(std::move(message));
    tasks_->Post([this_stream = stream_, source = &source_, shared] {
      source->Deliver(this_stream, std::move(*shared));
    });
  }
  void End(absl::Status why) override {
    tasks_->Post([stream = stream_, source = &source_, why] { source->End(stream, why); });
  }

 private:
  LocalRedoSource& source_;  // its queue is closed before it goes
  const std::shared_ptr<TaskQueue> tasks_;
  const uint64_t stream_;
};

LocalRedoSource::LocalRedoSource(std::shared_ptr<WriterLink> link,
                                 std::shared_ptr<ReaderFaults> faults)
    : link_(std::move(link)), faults_(std::move(faults)), thread_([tasks = tasks_] {
        while (auto task = tasks->Next()) (*task)();
      }) {}

void LocalRedoSource::Open(protocol::FollowHello hello, Events events) {
  tasks_->Post(
      [this, hello = std::move(hello), events = std::move(events)] { Begin(hello, events); });
}

void LocalRedoSource::Begin(const protocol::FollowHello& hello, Events events) {
  const uint64_t number = ++stream_number_;
  stream_ = Stream{std::move(events), std::nullopt};
  absl::Status refused = absl::UnavailableError("there is no writer");
  const bool is_connected = faults_->is_connected();
  if (is_connected) {
    link_->With([&](compute::WriterVolume& writer) {
      const auto id = writer.Follow(hello, std::make_shared<Follower>(this, number));
      refused = id.status();
      if (id.ok()) stream_->id = *id;
    });
  }
  if (!refused.ok()) return End(number, refused);
  stream_->events.on_found({"writer", ""});
}

void LocalRedoSource::Deliver(uint64_t number, protocol::FollowMessage message) {
  faults_->AwaitUnpaused();
  if (number != stream_number_ || !stream_) return;
  if (!faults_->is_connected()) {
    link_->With([&](compute::WriterVolume& writer) { writer.StopFollowing(*stream_->id); });
    return End(number, absl::UnavailableError("cut off"));
  }
  stream_->events.on_message(std::move(message));
  if (!stream_) return;
  link_->With([&](compute::WriterVolume& writer) { writer.FollowerSent(*stream_->id); });
}

void LocalRedoSource::End(uint64_t number, const absl::Status& why) {
  if (number != stream_number_ || !stream_) return;
  const Events events = std::move(stream_->events);
  stream_ = std::nullopt;
  events.on_end(why);
}

void LocalRedoSource::Report(const protocol::FollowProgress& progress) {
  tasks_->Post([this, progress] {
    if (!stream_ || !stream_->id || !faults_->is_connected()) return;
    link_->With(
        [&](compute::WriterVolume& writer) { writer.FollowerProgressed(*stream_->id, progress); });
  });
}

void LocalRedoSource::Close() {
  tasks_->Post([this] {
    if (!stream_) return;
    if (stream_->id) {
      link_->With([&](compute::WriterVolume& writer) { writer.StopFollowing(*stream_->id); });
    }
    End(stream_number_, absl::CancelledError("closed"));
  });
}

void LocalRedoSource::Shutdown() {
  faults_->SetPaused(false);
  if (!thread_.joinable()) return;
  tasks_->Post([this] {
    if (stream_ && stream_->id) {
      link_->With([&](compute::WriterVolume& writer) { writer.StopFollowing(*stream_->id); });
    }
    stream_ = std::nullopt;
  });
  tasks_->Close();
  thread_.join();
}

}  // namespace sextant::embedded
