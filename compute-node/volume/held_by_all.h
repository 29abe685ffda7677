// HeldByAll: through which LSN every member of one protection group that is waited for holds it.
// Core.
//
// Segments keep their log at least from there on (log/batch.h, held_by_all), so that a member that
// was away catches up from its peers' logs. One that is away longer than `max_absence` is not
// waited for any more: if its peers have collected what it lacks, it is rebuilt from their pages.
// That is a choice between disk space and the cost of a return, never one of safety: whom nobody
// waits for counts in the quorums as before. Right after opening every member is waited for that
// long. Never falls.
#pragma once

#include <algorithm>
#include <vector>

#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/log/lsn.h"

namespace sextant::compute {

class HeldByAll {
 public:
  struct Member {
    bool is_here = false;  // it streams, and what it acknowledges counts
    Lsn scl;               // the last known; Lsn{0}: not known
  };

  explicit HeldByAll(absl::Duration max_absence) : max_absence_(max_absence) {}

  // `members` by slot; a slot that is new is waited for from now on, one that is left out no more.
  void Update(const std::vector<Member>& members, Instant now) {
    last_here_.resize(members.size(), now);
    bool is_waited_for = false;
    Lsn lowest{UINT64_MAX};
    for (size_t slot = 0; slot < members.size(); ++slot) {
      if (members[slot].is_here) last_here_[slot] = now;
      if (now - last_here_[slot] > max_absence_) continue;
      is_waited_for = true;
      lowest = std::min(lowest, members[slot].scl);
    }
    if (is_waited_for) lsn_ = std::max(lsn_, lowest);
  }
  Lsn lsn() const { return lsn_; }

 private:
  absl::Duration max_absence_;
  std::vector<Instant> last_here_;  // by slot
  Lsn lsn_;
};

}  // namespace sextant::compute
