// RedoFeed: a thread that gives readers their redo, so that a commit pays no more for them than a
// wake-up.
//
// What to send is decided under the volume's mutex (WriterVolume, replica/followers.h); here the
// mini-transactions are encoded, once for all readers, and handed to the transports. A reader gets
// a message at most every `interval`: what comes meanwhile shares the next one.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "compute-node/writer/redo_ring.h"

namespace sextant::compute {

// One reader's stream, as a transport has it. Calls come from one thread at a time and must not
// block, nor call the volume.
class RedoFollower {
 public:
  virtual ~RedoFollower() = default;
  // The next one comes only after WriterVolume::FollowerSent.
  virtual void Send(protocol::FollowMessage message) = 0;
  // The last call.
  virtual void End(absl::Status why) = 0;
};

// The newest encodings; those who read the same redo at about the same time share them.
class MtrEncoder {
 public:
  explicit MtrEncoder(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // Null: too large for any message.
  const std::string* Encode(const AppendedMtr& mtr);

 private:
  struct Encoded {
    Lsn commit_lsn;
    std::string bytes;
  };
  const uint64_t max_bytes_;
  std::deque<Encoded> newest_;  // ascending
  uint64_t bytes_ = 0;
  Encoded last_;  // of one that is older than those
};

class RedoFeed {
 public:
  explicit RedoFeed(absl::Duration interval) : interval_(interval) {}
  ~RedoFeed() { Stop(); }

  // `feed` runs after every Wake(), and every `idle` in any case; true: it sent something.
  void Start(absl::Duration idle, std::function<bool()> feed);
  // Cheap where it is awake already.
  void Wake();
  // `feed` does not run any more.
  void Stop();

 private:
  void Run(absl::Duration idle, const std::function<bool()>& feed);

  const absl::Duration interval_;
  std::atomic<bool> is_wanted_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace sextant::compute
