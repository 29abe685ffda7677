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
#include <array>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/log/lsn.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {

class HeldByAll {
 public:
  struct Member {
    quorum::Slot slot = 0;
    bool is_here = false;  // it streams, and what it acknowledges counts
    Lsn scl;               // the last known; Lsn{0}: not known
  };

  explicit HeldByAll(absl::Duration max_absence) : max_absence_(max_absence) {}

  // One that is new is waited for from now on, one that is left out no more.
  void Update(const std::vector<Member>& members, Instant now) {
    std::array<std::optional<Instant>, quorum::kMaxSlots> last_here;
    bool is_waited_for = false;
    Lsn lowest{UINT64_MAX};
    for (const Member& member : members) {
      const Instant seen = member.is_here ? now : last_here_[member.slot].value_or(now);
      last_here[member.slot] = seen;
      if (now - seen > max_absence_) continue;
      is_waited_for = true;
      lowest = std::min(lowest, member.scl);
    }
    last_here_ = last_here;
    if (is_waited_for) lsn_ = std::max(lsn_, lowest);
  }
  Lsn lsn() const { return lsn_; }

 private:
  absl::Duration max_absence_;
  std::array<std::optional<Instant>, quorum::kMaxSlots> last_here_;  // by slot, of members
  Lsn lsn_;
};

}  // namespace sextant::compute
