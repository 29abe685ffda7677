// RecoveryQuorum: which members of every protection group have done what a phase asks. Core.
#pragma once

#include <vector>

#include "common/quorum/quorum.h"
#include "compute-node/volume/member_address.h"

namespace sextant::compute {

class RecoveryQuorum {
 public:
  explicit RecoveryQuorum(size_t pg_count) : slots_(pg_count) {}

  void Insert(MemberAddress member) { slots_[member.pg.value()].Insert(member.slot); }
  bool Contains(MemberAddress member) const {
    return slots_[member.pg.value()].Contains(member.slot);
  }
  quorum::SlotSet Of(PgId pg) const { return slots_[pg.value()]; }
  // A write quorum of every protection group.
  bool IsWriteQuorum() const {
    for (quorum::SlotSet slots : slots_) {
      if (!sets_.IsWriteQuorum(slots)) return false;
    }
    return true;
  }

 private:
  quorum::QuorumSets sets_;
  std::vector<quorum::SlotSet> slots_;  // by PG
};

}  // namespace sextant::compute
