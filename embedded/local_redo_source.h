// LocalRedoSource: a reader follows a writer of the same process. No sockets.
//
// Every event runs on a thread of the source's own, one at a time, as with a network: the writer is
// never called back inside its own call, and a reader that takes its time holds back its stream
// alone.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "compute-node/reader/redo_source.h"
#include "compute-node/writer/writer_volume.h"
#include "embedded/local_storage_peer.h"

namespace sextant::embedded {

// The cluster's writer, as long as there is one.
class WriterLink {
 public:
  // Before the writer is destroyed, after its Shutdown: null.
  void Set(compute::WriterVolume* writer) {
    std::lock_guard lock(mutex_);
    writer_ = writer;
  }
  // Calls `use` with the writer, which then stays until `use` returns. False: there is none.
  template <typename Use>
  bool With(Use use) {
    std::lock_guard lock(mutex_);
    if (writer_ == nullptr) return false;
    use(*writer_);
    return true;
  }

 private:
  std::mutex mutex_;
  compute::WriterVolume* writer_ = nullptr;
};

// For tests: what the reader's process and network do to it.
class ReaderFaults {
 public:
  // Paused: no event is delivered, as to a process that was stopped.
  void SetPaused(bool is_paused);
  void AwaitUnpaused();
  // Cut off: no writer is found.
  void SetConnected(bool is_connected);
  bool is_connected();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_paused_ = false;
  bool is_connected_ = true;
};

class LocalRedoSource final : public compute::RedoSource {
 public:
  LocalRedoSource(std::shared_ptr<WriterLink> link, std::shared_ptr<ReaderFaults> faults);
  ~LocalRedoSource() override { Shutdown(); }

  void Open(protocol::FollowHello hello, Events events) override;
  void Report(const protocol::FollowProgress& progress) override;
  void Close() override;
  void Shutdown() override;

 private:
  class Follower;
  struct Stream {
    Events events;
    std::optional<compute::FollowerId> id;
  };

  void Begin(const protocol::FollowHello& hello, Events events);
  void Deliver(uint64_t stream, protocol::FollowMessage message);
  void End(uint64_t stream, const absl::Status& why);

  const std::shared_ptr<WriterLink> link_;
  const std::shared_ptr<ReaderFaults> faults_;
  const std::shared_ptr<TaskQueue> tasks_ = std::make_shared<TaskQueue>();
  // Of the source's thread alone:
  uint64_t stream_number_ = 0;
  std::optional<Stream> stream_;
  std::thread thread_;
};

}  // namespace sextant::embedded
