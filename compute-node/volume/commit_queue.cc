// See commit_queue.h.
#include "compute-node/volume/commit_queue.h"

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {

absl::Status CommitQueue::Park(Lsn lsn, WaitToken wait, Instant deadline) {
  if (waits_.size() >= max_waits_) {
    return absl::ResourceExhaustedError(Text("outcome unknown: ", max_waits_,
                                             " commits wait for their write quorum already; LSN ",
                                             lsn, " may become durable later"));
  }
  const Key key{lsn, next_sequence_++};
  waits_.emplace(key, Wait{wait, deadline});
  deadlines_.insert({deadline, key});
  return absl::OkStatus();
}

void CommitQueue::ReleaseThrough(Lsn vdl, std::vector<WaitRelease>* released) {
  auto it = waits_.begin();
  for (; it != waits_.end() && it->first.lsn <= vdl; ++it) {
    released->push_back({it->second.token, absl::OkStatus()});
    deadlines_.erase({it->second.deadline, it->first});
  }
  waits_.erase(waits_.begin(), it);
  SEXTANT_CHECK(waits_.size() == deadlines_.size());
}

void CommitQueue::Expire(Instant now, std::vector<WaitRelease>* released) {
  auto it = deadlines_.begin();
  for (; it != deadlines_.end() && it->at <= now; ++it) {
    const auto wait = waits_.find(it->key);
    SEXTANT_CHECK(wait != waits_.end());
    released->push_back(
        {wait->second.token,
         absl::DeadlineExceededError(
             Text("outcome unknown: LSN ", it->key.lsn,
                  " did not reach its write quorum in time; it may become durable later"))});
    waits_.erase(wait);
  }
  deadlines_.erase(deadlines_.begin(), it);
}

void CommitQueue::ReleaseAll(const absl::Status& status, std::vector<WaitRelease>* released) {
  for (const auto& [key, wait] : waits_) released->push_back({wait.token, status});
  waits_.clear();
  deadlines_.clear();
}

}  // namespace sextant::compute
