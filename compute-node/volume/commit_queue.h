// CommitQueue: replies parked until VDL passes their LSN, or their deadline does. Core.
//
// Nobody waits on a flush: a worker parks its reply here and takes the next piece of work. Release
// is one pass from the lowest LSN (SIGMOD'17, section 4.2.2). A wait that ends early says that the
// outcome is unknown: its records may yet become durable.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "common/base/instant.h"
#include "common/base/strong_int.h"
#include "common/log/lsn.h"

namespace sextant::compute {

// Names a parked reply; chosen by the shell.
using WaitToken = StrongInt<struct WaitTokenTag>;

struct WaitRelease {
  WaitToken wait;
  absl::Status status;  // see PageVolume::WhenDurable
};

class CommitQueue {
 public:
  explicit CommitQueue(uint64_t max_waits) : max_waits_(max_waits) {}

  // RESOURCE_EXHAUSTED: the queue is full.
  absl::Status Park(Lsn lsn, WaitToken wait, Instant deadline);
  // OK for every wait at or below `vdl`, in LSN order.
  void ReleaseThrough(Lsn vdl, std::vector<WaitRelease>* released);
  // DEADLINE_EXCEEDED for every wait whose deadline is at or before `now`.
  void Expire(Instant now, std::vector<WaitRelease>* released);
  // `status` for every wait.
  void ReleaseAll(const absl::Status& status, std::vector<WaitRelease>* released);

  uint64_t size() const { return waits_.size(); }

 private:
  struct Key {
    Lsn lsn;
    uint64_t sequence;  // first come, first served among equals
    auto operator<=>(const Key&) const = default;
  };
  struct Deadline {
    Instant at;
    Key key;
    auto operator<=>(const Deadline&) const = default;
  };
  struct Wait {
    WaitToken token;
    Instant deadline;
  };
  absl::btree_map<Key, Wait> waits_;
  absl::btree_set<Deadline> deadlines_;
  uint64_t next_sequence_ = 0;
  uint64_t max_waits_;
};

}  // namespace sextant::compute
