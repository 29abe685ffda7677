// WorkerPool: a few threads for calls that wait for the disk, with a bounded queue.
//
// gRPC has only a handful of callback threads; a read that blocked one would hold up every batch
// that arrives. Thread-safety: all methods from any thread. Internal to server/.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sextant::storage {

class WorkerPool {
 public:
  WorkerPool(int threads, size_t max_queued);
  ~WorkerPool();  // finishes what was queued

  // False: the queue is full, nothing was taken.
  bool Submit(std::function<void()> work);

 private:
  void Run();

  const size_t max_queued_;
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool is_stopping_ = false;                 // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace sextant::storage
