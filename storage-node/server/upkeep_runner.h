// UpkeepRunner: the one background thread of a storage node, which carries out its upkeep.
//
// Tasks plug in: each does a little at a time and says how many bytes that was. In between the
// runner gives way: it waits while the committer is at work, a moment at most (a busy node must be
// kept up too), and until the byte budget allows more. What a task needs, it keeps itself; tasks
// run on this thread only, in turn. Internal to server/.
//
// Thread-safety: construct, destroy. The destructor waits for the step that is under way.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/instant.h"
#include "common/base/rate_budget.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage {

class UpkeepTask {
 public:
  virtual ~UpkeepTask() = default;
  struct Step {
    bool is_idle = false;  // there was nothing to do: ask again after a while
    uint64_t bytes = 0;    // read and written
  };
  // Some milliseconds of work at most, not counting waits for the disk.
  virtual Step Work(Instant now) = 0;
};

class UpkeepRunner {
 public:
  // `is_busy`: whether foreground work is under way at this moment.
  UpkeepRunner(const UpkeepOptions& options, std::vector<std::unique_ptr<UpkeepTask>> tasks,
               std::function<bool()> is_busy);
  ~UpkeepRunner();

 private:
  void Run();
  // One step of every task; false: none had anything to do.
  bool WorkOnce();
  void GiveWay();
  // False: stopped.
  bool SleepUntil(Instant at);

  const UpkeepOptions options_;
  const std::vector<std::unique_ptr<UpkeepTask>> tasks_;
  const std::function<bool()> is_busy_;
  RateBudget budget_;

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;  // guarded by mutex_
  std::thread thread_;        // last: uses all of the above
};

}  // namespace sextant::storage
