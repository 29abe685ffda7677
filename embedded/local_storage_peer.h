// LocalStoragePeer: a storage node of the same process as a compute node reaches it. No sockets.
//
// Every call and every callback runs on a thread of the peer's own, one at a time and in order: as
// with a network, nothing calls back inside the call that asked, so locks held there are no danger.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "compute-node/net/storage_peer.h"
#include "embedded/local_node.h"

namespace sextant::embedded {

// Tasks for one thread; closed by the peer's end. Shared with callbacks that the node may still
// hold.
class TaskQueue {
 public:
  void Post(std::function<void()> task);  // dropped once closed
  // The next task; nullopt when closed and empty.
  std::optional<std::function<void()>> Next();
  void Close();

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool is_closed_ = false;
};

class LocalStoragePeer final : public compute::StoragePeer {
 public:
  explicit LocalStoragePeer(LocalNode* node);
  ~LocalStoragePeer() override;

  const std::string& node() const override { return node_.member().node; }
  void OpenStream(StreamEvents events) override;
  void SendBatch(const log::EncodedBatch& batch) override;
  void SendProbe(const protocol::EpochProbe& probe) override;
  void GetStatus(absl::Duration timeout, compute::Done<protocol::NodeStatus> done) override;
  void CreateSegment(const protocol::CreateSegmentRequest& request, absl::Duration timeout,
                     compute::Done<protocol::SegmentStatus> done) override;
  void DropSegment(const protocol::DropSegmentRequest& request, absl::Duration timeout,
                   compute::Done<protocol::DropSegmentReply> done) override;
  void RaiseEpoch(const protocol::RaiseEpochRequest& request, absl::Duration timeout,
                  compute::Done<protocol::SegmentStatus> done) override;
  void ReadLog(const protocol::ReadLogRequest& request, absl::Duration timeout,
               compute::Done<protocol::ReadLogReply> done) override;
  void ReadPages(const protocol::ReadPagesRequest& request, absl::Duration timeout,
                 compute::Done<protocol::ReadPagesReply> done) override;
  void Shutdown() override;

  // The node was started, stopped, cut off or joined again: the stream follows.
  void NodeChanged();
  // Returns when everything asked for before has been done. Not from the peer's own thread.
  void WaitIdle();

 private:
  void Run();
  void FollowNode();
  absl::Status Unreachable() const;
  // Runs `call` with the node, or `done` with UNAVAILABLE, on the peer's thread.
  template <typename Reply, typename Call>
  void Ask(compute::Done<Reply> done, Call call);

  LocalNode& node_;
  const std::shared_ptr<TaskQueue> tasks_;

  // Of the peer's thread alone.
  std::optional<StreamEvents> events_;
  std::shared_ptr<storage::StorageNode> streaming_to_;
  std::unique_ptr<storage::StorageNode::AppendStream> stream_;
  bool is_shut_down_ = false;

  std::thread thread_;
};

}  // namespace sextant::embedded
