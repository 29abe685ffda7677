// Test tools for storage nodes: a collector of acks, and what every test asks of a fresh segment.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/text.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage::testing {

inline constexpr auto kDeadline = std::chrono::seconds(60);

// An ack sink that a test waits on. Outlives the stream it belongs to.
class Acks {
 public:
  StorageNode::AckSink Sink() {
    return [this](std::vector<protocol::AppendAck> acks) { Take(std::move(acks)); };
  }
  void Take(std::vector<protocol::AppendAck> acks) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++calls_;
    for (protocol::AppendAck& ack : acks) acks_.push_back(std::move(ack));
    changed_.notify_all();
  }
  // Waits until an ack satisfies `wanted`; false after the deadline.
  template <typename Predicate>
  bool Await(Predicate wanted) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kDeadline, [&] {
      for (const protocol::AppendAck& ack : acks_) {
        if (wanted(ack)) return true;
      }
      return false;
    });
  }
  bool AwaitScl(PgId pg, Lsn scl) {
    return Await([=](const protocol::AppendAck& ack) {
      return ack.status.ok() && ack.segment.pg == pg && ack.scl >= scl;
    });
  }
  bool AwaitCode(absl::StatusCode code) {
    return Await([=](const protocol::AppendAck& ack) { return ack.status.code() == code; });
  }
  size_t size() {
    std::lock_guard<std::mutex> lock(mutex_);
    return acks_.size();
  }
  int calls() {
    std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<protocol::AppendAck> acks_;
  int calls_ = 0;
};

// Six members, two a zone: az1-a is slot 0.
inline volume::Membership Members() {
  volume::Membership membership;
  for (const char* node : {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"}) {
    membership.members.push_back({node, std::string(node, 3)});
  }
  return membership;
}

inline protocol::CreateSegmentRequest CreateRequest(VolumeId volume, volume::Geometry geometry,
                                                    PgId pg) {
  return {.descriptor = {volume, geometry}, .pg = pg, .membership = Members(), .slot = 0};
}

// RaiseEpoch as a call that waits.
inline absl::StatusOr<protocol::SegmentStatus> Raise(
    StorageNode* node, SegmentId segment, uint64_t epoch, uint64_t writer = 1,
    std::vector<volume::Truncation> truncations = {}) {
  auto reply = std::make_shared<std::promise<absl::StatusOr<protocol::SegmentStatus>>>();
  auto future = reply->get_future();
  node->RaiseEpoch(
      {.segment = segment,
       .epoch = VolumeEpoch(epoch),
       .writer = WriterId(writer),
       .truncations = std::move(truncations)},
      [reply](absl::StatusOr<protocol::SegmentStatus> status) { reply->set_value(status); });
  if (future.wait_for(kDeadline) != std::future_status::ready) {
    return absl::DeadlineExceededError("no reply to RaiseEpoch");
  }
  return future.get();
}

}  // namespace sextant::storage::testing
