// AppendStream: one gRPC stream of batches to a storage node, from its start to its end.
//
// Batches are opaque bytes shared by all six peers: a message is written as a few bytes of protobuf
// framing and a slice that refers to the shared bytes, without a copy and without a serialisation
// of its own. One write is under way at a time; what comes meanwhile waits in a bounded queue.
//
// A probe goes before the batches that wait: its answer is wanted now.
//
// Thread-safety: all methods from any thread. Callbacks come on gRPC's threads, acks one at a time
// and none after `on_end`.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"

namespace sextant::compute {

class AppendStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  struct Options {
    std::string peer;  // for messages: "storage node az1-a (127.0.0.1:7001)"
    // Bytes that may wait. A peer that is further behind loses its stream: it then gets what it
    // lacks after reconnecting, counted from its SCL, and memory stays bounded.
    uint64_t max_queued_bytes = 64ull << 20;
  };
  struct Events {
    std::function<void(const protocol::AppendAck&)> on_ack;
    std::function<void(const protocol::EpochAnswer&)> on_answer;
    std::function<void(const absl::Status&)> on_end;  // last of all, once
  };

  // Starts it; it keeps itself alive until on_end has run.
  static std::shared_ptr<AppendStream> Start(const std::shared_ptr<grpc::Channel>& channel,
                                             Options options, Events events);
  void Send(const log::EncodedBatch& batch);  // dropped once the stream is ending
  // The same; only the newest probe waits.
  void Send(const protocol::EpochProbe& probe);
  void Cancel();

  // gRPC's side.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  AppendStream(Options options, Events events);
  bool BeginWritingLocked();  // true: WriteNext() must follow
  void WriteNext();
  void WriteNextLocked();  // something waits, and is_writing_ says that it leaves
  void End(absl::Status why);

  const Options options_;
  Events events_;
  grpc::ClientContext context_;
  grpc::ByteBuffer incoming_;
  std::shared_ptr<AppendStream> self_;  // until OnDone

  std::mutex mutex_;
  std::deque<std::shared_ptr<const std::string>> queue_;
  uint64_t queued_bytes_ = 0;
  std::optional<protocol::EpochProbe> probe_;  // waits
  grpc::ByteBuffer outgoing_;
  bool is_writing_ = false;  // or about to
  bool is_ending_ = false;
  absl::Status why_;  // set where the end was this side's decision
};

}  // namespace sextant::compute
