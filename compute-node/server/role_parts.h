// What several roles are made of: peers, the SQL executor and its end.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "compute-node/net/storage_peer.h"
#include "compute-node/net/timer_queue.h"
#include "compute-node/server/compute_flags.h"
#include "compute-node/sql/executor.h"

namespace sextant::server {

// For clients that do not take their last answers when a role ends.
inline constexpr absl::Duration kAnswerPatience = absl::Seconds(2);

// The peers of flags.storage_nodes, in their order.
std::vector<std::unique_ptr<compute::StoragePeer>> MakePeers(const ComputeFlags& flags,
                                                             compute::TimerQueue* timers);
sql::SqlOptions MakeSqlOptions(const ComputeFlags& flags);

// The executor of a role that begins to serve when its volume is open: on a thread of the volume's,
// maybe while the role is being stopped. Thread-safe.
class ServedSql {
 public:
  // `make` returns the executor and hands it out; it is not called any more once Close was.
  template <typename Make>
  void Serve(const Make& make) {
    std::lock_guard lock(mutex_);
    if (!is_closed_) sql_ = make();
  }
  // What was made, to be stopped by the caller; null: nothing, and nothing will be.
  sql::SqlExecutor* Close() {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
    return sql_.get();
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<sql::SqlExecutor> sql_;
  bool is_closed_ = false;
};

}  // namespace sextant::server
