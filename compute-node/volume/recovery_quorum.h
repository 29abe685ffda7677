// RecoveryQuorum: which members of every protection group have done what a phase asks. Core.
#pragma once

#include <vector>

#include "common/quorum/quorum.h"
#include "common/volume/membership.h"
#include "compute-node/volume/member_address.h"

namespace sextant::compute {

class RecoveryQuorum {
 public:
  RecoveryQuorum() = default;
  explicit RecoveryQuorum(const std::vector<volume::Membership>& memberships)
      : slots_(memberships.size()) {
    for (const volume::Membership& membership : memberships) sets_.push_back(membership.Sets());
  }

  void Insert(MemberAddress member) { slots_[member.pg.value()].Insert(member.slot); }
  bool Contains(MemberAddress member) const {
    return slots_[member.pg.value()].Contains(member.slot);
  }
  quorum::SlotSet Of(PgId pg) const { return slots_[pg.value()]; }
  // A write quorum of one, of every protection group.
  bool IsWriteQuorum(PgId pg) const { return sets_[pg.value()].IsWriteQuorum(slots_[pg.value()]); }
  bool IsWriteQuorum() const {
    for (uint32_t pg = 0; pg < slots_.size(); ++pg) {
      if (!IsWriteQuorum(PgId(pg))) return false;
    }
    return true;
  }

 private:
  std::vector<quorum::QuorumSets> sets_;  // by PG
  std::vector<quorum::SlotSet> slots_;    // by PG
};

}  // namespace sextant::compute
