// StoragePeer: one storage node as a compute node reaches it. The seam between protocol and
// transport.
//
// Two implementations: gRPC (grpc_storage_peer.h) and a call in the same process
// (embedded/local_storage_peer.h). All calls are asynchronous: they return at once and call back
// exactly once, on any thread, UNAVAILABLE or DEADLINE_EXCEEDED where the node does not answer.
// Callbacks must not block, and may call the peer again.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"

namespace sextant::compute {

template <typename Reply>
using Done = std::function<void(absl::StatusOr<Reply>)>;

class StoragePeer {
 public:
  virtual ~StoragePeer() = default;

  virtual const std::string& node() const = 0;

  // Keeps one append stream to the node from now on, reconnecting with jittered back-off. `on_up`
  // each time the stream is ready for SendBatch; `on_down` each time it is lost, after which acks
  // of the lost stream no longer come; up and down alternate.
  struct StreamEvents {
    std::function<void()> on_up;
    std::function<void(const protocol::AppendAck&)> on_ack;
    std::function<void(const absl::Status&)> on_down;
    // Answers to SendProbe, like acks: none of a lost stream. May be empty.
    std::function<void(const protocol::EpochAnswer&)> on_answer = nullptr;
  };
  virtual void OpenStream(StreamEvents events) = 0;
  // In order; not copied. Dropped, silently, while the stream is down: on_up is the time to resend.
  virtual void SendBatch(const log::EncodedBatch& batch) = 0;
  // Overtakes batches that wait, and takes the place of a probe that still does. Dropped, silently,
  // while the stream is down.
  virtual void SendProbe(const protocol::EpochProbe& probe) = 0;

  virtual void GetStatus(absl::Duration timeout, Done<protocol::NodeStatus> done) = 0;
  virtual void CreateSegment(const protocol::CreateSegmentRequest& request, absl::Duration timeout,
                             Done<protocol::SegmentStatus> done) = 0;
  virtual void DropSegment(const protocol::DropSegmentRequest& request, absl::Duration timeout,
                           Done<protocol::DropSegmentReply> done) = 0;
  virtual void RaiseEpoch(const protocol::RaiseEpochRequest& request, absl::Duration timeout,
                          Done<protocol::SegmentStatus> done) = 0;
  virtual void ReadLog(const protocol::ReadLogRequest& request, absl::Duration timeout,
                       Done<protocol::ReadLogReply> done) = 0;
  virtual void ReadPages(const protocol::ReadPagesRequest& request, absl::Duration timeout,
                         Done<protocol::ReadPagesReply> done) = 0;

  // Ends the stream and every call under way; no callback comes after it returns.
  virtual void Shutdown() = 0;
};

}  // namespace sextant::compute
