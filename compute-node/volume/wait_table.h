// WaitTable: the callbacks behind the WaitTokens that a volume parks. Not thread-safe.
#pragma once

#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/instant.h"
#include "compute-node/volume/commit_queue.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::compute {

class WaitTable {
 public:
  struct Wait {
    PageVolume::DurableCallback done;
    Instant since;
    bool is_commit = true;  // waits for VDL; otherwise for proof of being the writer
  };

  WaitToken Park(Wait wait) {
    if (free_.empty()) {
      waits_.push_back(std::move(wait));
      return WaitToken(waits_.size() - 1);
    }
    const size_t index = free_.back();
    free_.pop_back();
    waits_[index] = std::move(wait);
    return WaitToken(index);
  }

  Wait Take(WaitToken token) {
    SEXTANT_CHECK(token.value() < waits_.size() && waits_[token.value()].done);
    free_.push_back(token.value());
    return std::exchange(waits_[token.value()], {});
  }

  std::vector<Wait> TakeAll() {
    std::vector<Wait> all;
    for (Wait& wait : waits_) {
      if (wait.done) all.push_back(std::move(wait));
    }
    waits_.clear();
    free_.clear();
    return all;
  }

 private:
  std::vector<Wait> waits_;  // by token
  std::vector<size_t> free_;
};

}  // namespace sextant::compute
