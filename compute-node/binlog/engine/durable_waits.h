// DurableWaits: who waits for which transaction, and until when. Not thread-safe.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "compute-node/sql/engine.h"

namespace sextant::binlog {

class DurableWaits {
 public:
  using Done = sql::SqlEngine::DurableCallback;

  void Add(Lsn lsn, Instant deadline, Done done) {
    waits_.emplace(lsn, Wait{deadline, std::move(done)});
  }
  std::vector<Done> TakeThrough(Lsn lsn) {
    std::vector<Done> released;
    while (!waits_.empty() && waits_.begin()->first <= lsn) {
      released.push_back(std::move(waits_.begin()->second.done));
      waits_.erase(waits_.begin());
    }
    return released;
  }
  std::vector<Done> TakeExpired(Instant now) {
    std::vector<Done> expired;
    for (auto it = waits_.begin(); it != waits_.end();) {
      if (it->second.deadline > now) {
        ++it;
        continue;
      }
      expired.push_back(std::move(it->second.done));
      it = waits_.erase(it);
    }
    return expired;
  }
  std::vector<Done> TakeAll() { return TakeExpired(Instant::Max()); }
  size_t size() const { return waits_.size(); }

 private:
  struct Wait {
    Instant deadline;
    Done done;
  };
  std::multimap<Lsn, Wait> waits_;
};

}  // namespace sextant::binlog
