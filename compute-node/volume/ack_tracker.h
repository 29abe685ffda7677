// AckTracker: what the members of one protection group hold, and its PGCL. Core.
//
// PGCL is the highest LSN that SCL has reached on a write quorum (of every member set, during a
// membership change). It never falls. A member counts with what it durably holds, also while it is
// away; one that comes back holding less than it once acknowledged broke a promise and counts for
// nothing until it has reached that point again. Members change while it counts: PGCL stays where
// it was, and rises by the new sets.
#pragma once

#include <vector>

#include "common/log/lsn.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {

class AckTracker {
 public:
  // `durable`: the group's last LSN that is known to be on a write quorum.
  AckTracker(quorum::QuorumSets sets, Lsn durable);

  // Counts by these sets from now on. True: PGCL rose.
  bool SetSets(quorum::QuorumSets sets);
  // Another member has come to this slot; of it nothing is known.
  void Join(quorum::Slot slot);

  // The member's stream came up and it holds everything through `scl`. False: it acknowledged more
  // before, and does not count for now.
  bool Connected(quorum::Slot slot, Lsn scl);
  // A cumulative acknowledgement; one below what is already known is late, and ignored. True: PGCL
  // rose.
  bool Acked(quorum::Slot slot, Lsn scl);
  // What the member held is gone or cannot be trusted: it counts for nothing until Connected.
  void Discount(quorum::Slot slot);

  bool IsCounted(quorum::Slot slot) const { return members_[slot].is_counted; }
  Lsn scl(quorum::Slot slot) const { return counted_[slot]; }
  const std::vector<Lsn>& scls() const { return counted_; }  // by slot; Lsn{0}: not counted
  Lsn pgcl() const { return pgcl_.Get(); }

 private:
  struct Member {
    Lsn promised;  // highest SCL it ever acknowledged to this writer
    bool is_counted = true;
  };
  bool Recompute();

  quorum::QuorumSets sets_;
  std::vector<Member> members_;
  std::vector<Lsn> counted_;  // by slot; Lsn{0} while discounted
  Watermark pgcl_;
};

}  // namespace sextant::compute
