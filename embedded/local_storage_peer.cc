// See local_storage_peer.h.
#include "embedded/local_storage_peer.h"

#include <future>
#include <utility>

#include "common/base/text.h"

namespace sextant::embedded {

void TaskQueue::Post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (is_closed_) return;
  tasks_.push_back(std::move(task));
  wake_.notify_one();
}

std::optional<std::function<void()>> TaskQueue::Next() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return is_closed_ || !tasks_.empty(); });
  if (tasks_.empty()) return std::nullopt;
  auto task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

void TaskQueue::Close() {
  std::lock_guard lock(mutex_);
  is_closed_ = true;
  wake_.notify_all();
}

LocalStoragePeer::LocalStoragePeer(LocalNode* node)
    : node_(*node), tasks_(std::make_shared<TaskQueue>()), thread_([this] { Run(); }) {}

LocalStoragePeer::~LocalStoragePeer() {
  Shutdown();
  node_.Forget(this);
}

void LocalStoragePeer::Run() {
  while (auto task = tasks_->Next()) (*task)();
}

void LocalStoragePeer::Shutdown() {
  if (!thread_.joinable()) return;
  // What was asked before is answered, then the stream ends, then nothing more is taken.
  tasks_->Post([this] {
    is_shut_down_ = true;
    stream_ = nullptr;
    streaming_to_ = nullptr;
    tasks_->Close();
  });
  thread_.join();
}

void LocalStoragePeer::NodeChanged() {
  tasks_->Post([this] { FollowNode(); });
}

void LocalStoragePeer::WaitIdle() {
  // Shared: a queue that closes meanwhile drops the task, and the promise with it.
  auto idle = std::make_shared<std::promise<void>>();
  auto future = idle->get_future();
  tasks_->Post([idle = std::move(idle)] { idle->set_value(); });
  future.wait();
}

void LocalStoragePeer::OpenStream(StreamEvents events) {
  tasks_->Post([this, events = std::move(events)]() mutable {
    events_ = std::move(events);
    FollowNode();
  });
}

void LocalStoragePeer::FollowNode() {
  if (!events_ || is_shut_down_) return;
  auto node = node_.reachable();
  if (node == streaming_to_) return;
  if (streaming_to_) {
    stream_ = nullptr;
    streaming_to_ = nullptr;
    events_->on_down(Unreachable());
  }
  if (!node) return;
  streaming_to_ = node;
  // Acks of a stream that has ended meanwhile are dropped: `stream` tells them apart.
  stream_ = node->OpenStream(
      [this, tasks = tasks_, from = node.get()](std::vector<protocol::AppendAck> acks) {
        tasks->Post([this, from, acks = std::move(acks)] {
          if (streaming_to_.get() != from) return;
          for (const protocol::AppendAck& ack : acks) events_->on_ack(ack);
        });
      });
  events_->on_up();
}

void LocalStoragePeer::SendBatch(const log::EncodedBatch& batch) {
  tasks_->Post([this, bytes = batch.bytes] {
    if (stream_) stream_->Append(bytes);
  });
}

void LocalStoragePeer::SendProbe(const protocol::EpochProbe& probe) {
  tasks_->Post([this, probe] {
    if (!streaming_to_ || !events_->on_answer) return;
    events_->on_answer(streaming_to_->AnswerProbe(probe));
  });
}

absl::Status LocalStoragePeer::Unreachable() const {
  return absl::UnavailableError(Text("storage node ", node(), " is down or cut off"));
}

template <typename Reply, typename Call>
void LocalStoragePeer::Ask(compute::Done<Reply> done, Call call) {
  tasks_->Post([this, done = std::move(done), call = std::move(call)] {
    const auto node = is_shut_down_ ? nullptr : node_.reachable();
    if (!node) return done(Unreachable());
    call(*node, done);
  });
}

void LocalStoragePeer::GetStatus(absl::Duration, compute::Done<protocol::NodeStatus> done) {
  Ask<protocol::NodeStatus>(std::move(done),
                            [](auto& node, const auto& done) { done(node.Status()); });
}

void LocalStoragePeer::CreateSegment(const protocol::CreateSegmentRequest& request, absl::Duration,
                                     compute::Done<protocol::SegmentStatus> done) {
  Ask<protocol::SegmentStatus>(std::move(done), [request](auto& node, const auto& done) {
    done(node.CreateSegment(request));
  });
}

void LocalStoragePeer::DropSegment(const protocol::DropSegmentRequest& request, absl::Duration,
                                   compute::Done<protocol::DropSegmentReply> done) {
  Ask<protocol::DropSegmentReply>(std::move(done), [request](auto& node, const auto& done) {
    const absl::Status status = node.DropSegment(request);
    if (!status.ok()) return done(status);
    done(protocol::DropSegmentReply());
  });
}

void LocalStoragePeer::RaiseEpoch(const protocol::RaiseEpochRequest& request, absl::Duration,
                                  compute::Done<protocol::SegmentStatus> done) {
  Ask<protocol::SegmentStatus>(
      std::move(done), [request, tasks = tasks_](auto& node, const auto& done) {
        // Answered on the node's committer, or here.
        node.RaiseEpoch(request, [tasks, done](absl::StatusOr<protocol::SegmentStatus> reply) {
          tasks->Post([done, reply = std::move(reply)] { done(reply); });
        });
      });
}

void LocalStoragePeer::ReadLog(const protocol::ReadLogRequest& request, absl::Duration,
                               compute::Done<protocol::ReadLogReply> done) {
  Ask<protocol::ReadLogReply>(
      std::move(done), [request](auto& node, const auto& done) { done(node.ReadLog(request)); });
}

void LocalStoragePeer::ReadPages(const protocol::ReadPagesRequest& request, absl::Duration,
                                 compute::Done<protocol::ReadPagesReply> done) {
  Ask<protocol::ReadPagesReply>(
      std::move(done), [request](auto& node, const auto& done) { done(node.ReadPages(request)); });
}

}  // namespace sextant::embedded
