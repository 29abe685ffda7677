// Outbox: batches on their way to one peer, in order, handed to the transport outside the writer's
// lock.
//
// The writer's machine says under its lock what to send in which order; the transport's system
// calls should not run under that lock. So batches are queued here under it, and sent by whoever
// comes first afterwards, one thread at a time.
#pragma once

#include <mutex>
#include <vector>

#include "common/log/batch.h"
#include "compute-node/net/storage_peer.h"

namespace sextant::compute {

class Outbox {
 public:
  explicit Outbox(StoragePeer* peer) : peer_(peer) {}

  // In the order in which the batches must go out: call it under the lock that gives them their
  // order.
  void Enqueue(log::EncodedBatch batch) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(batch));
  }

  // Sends what is queued, and what others queue meanwhile. Returns at once if another thread is at
  // it.
  void Flush() {
    std::unique_lock lock(mutex_);
    if (is_flushing_) return;
    is_flushing_ = true;
    while (!queue_.empty()) {
      sending_.swap(queue_);
      lock.unlock();
      for (const log::EncodedBatch& batch : sending_) peer_->SendBatch(batch);
      sending_.clear();
      lock.lock();
    }
    is_flushing_ = false;
  }

  StoragePeer& peer() { return *peer_; }

 private:
  StoragePeer* const peer_;
  std::mutex mutex_;
  std::vector<log::EncodedBatch> queue_;
  std::vector<log::EncodedBatch> sending_;  // of the flushing thread; kept for its memory
  bool is_flushing_ = false;
};

}  // namespace sextant::compute
