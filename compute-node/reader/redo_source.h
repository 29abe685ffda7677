// RedoSource: where a reader finds the writer and follows its redo. The seam to the transport.
//
// Two implementations: gRPC (grpc_redo_source.h) and a writer in the same process
// (embedded/local_redo_source.h). Thread-safety: all methods from any thread; none blocks but
// Shutdown.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/protocol/redo_messages.h"

namespace sextant::compute {

// A compute node, and where its services answer.
struct ComputeNodeName {
  std::string node;
  std::string address;  // HOST:PORT; empty in one process
};

class RedoSource {
 public:
  virtual ~RedoSource() = default;

  // Events of one stream, one at a time, on any thread. None may block: a message that comes next
  // waits until on_message has returned, and so may everything else that comes to this process.
  struct Events {
    std::function<void(const ComputeNodeName& writer)> on_found;
    std::function<void(protocol::FollowMessage)> on_message;
    // Once, and nothing after it: no writer was found (UNAVAILABLE), or the stream ended.
    std::function<void(const absl::Status&)> on_end;
  };
  // Finds the writer and opens a stream to it. The one before has ended.
  virtual void Open(protocol::FollowHello hello, Events events) = 0;
  // Dropped where no stream is open; a later one takes the place of one that still waits.
  virtual void Report(const protocol::FollowProgress& progress) = 0;
  // Ends the stream, soon.
  virtual void Close() = 0;

  // No event comes after it returns.
  virtual void Shutdown() = 0;
};

}  // namespace sextant::compute
