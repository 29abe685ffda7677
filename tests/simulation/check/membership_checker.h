// MembershipChecker: I10 (one number is one membership; consecutive ones share a set; who joins
// holds what was acknowledged before another leaves; nobody who counts is dropped) and I11 (an
// amnesiac never votes). Memberships, judged by what lies on disks.
#pragma once

#include <map>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class MembershipChecker final : public Checker {
 public:
  using Checker::Checker;

  void Durable(NodeNo node, const storage::StoreWrite& write) override;
  void CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override;
  void AckLeft(NodeNo node, const protocol::AppendAck& ack) override;
  void RaiseAnswered(NodeNo node, const protocol::RaiseEpochRequest& request,
                     const absl::StatusOr<protocol::SegmentStatus>& reply) override;

 private:
  struct Segment {  // as its node's disk has it
    quorum::Slot slot = 0;
    MembershipEpoch told;
  };
  struct Group {
    std::map<MembershipEpoch, volume::Membership> seen;
    volume::Membership in_effect;
    // Since which membership in effect the slot is its node's, without a break.
    std::map<quorum::Slot, MembershipEpoch> joined;
    std::map<NodeNo, Segment> segments;
  };
  void Told(PgId pg, const volume::Membership& membership);
  static void Join(const volume::Membership& in_effect, bool is_first, Group* group);
  void CheckDrop(NodeNo node, PgId pg);
  void CheckHeld(PgId pg, const volume::Membership& membership);
  void CheckVote(NodeNo node, PgId pg);

  std::map<PgId, Group> groups_;
  std::map<GeometryEpoch, volume::Geometry> geometries_;
  Lsn acked_;
};

}  // namespace sextant::simulation
