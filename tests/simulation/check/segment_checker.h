// SegmentChecker: I3 (SCL claims no gap and nothing undurable, and falls only by truncation or
// damage), I4 (nothing annulled is counted or served), I5 (a promise is durable before its reply,
// and nothing older is stored after it). What segments say, judged against their disks.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class SegmentChecker final : public Checker {
 public:
  using Checker::Checker;

  void Durable(NodeNo node, const storage::StoreWrite& write) override;
  void AckLeft(NodeNo node, const protocol::AppendAck& ack) override;
  void RaiseAnswered(NodeNo node, const protocol::RaiseEpochRequest& request,
                     const absl::StatusOr<protocol::SegmentStatus>& reply) override;
  void LogServed(NodeNo node, const protocol::ReadLogRequest& request,
                 const protocol::ReadLogReply& reply,
                 const std::vector<volume::Truncation>& known_truncations) override;
  void NodeStarted(NodeNo node, const std::vector<protocol::SegmentStatus>& segments) override;

 private:
  // What a segment has claimed so far.
  struct Claims {
    IncarnationId incarnation;
    std::vector<Lsn> chain;  // verified, ascending
    Lsn scl;
    VolumeEpoch truncated;  // the last that it knew to have truncated when it claimed `scl`
    uint64_t injuries = 0;  // of its disk when it claimed `scl`
    VolumeEpoch answered;   // highest epoch that it has answered a claim of
  };
  Claims& At(NodeNo node, PgId pg) { return claims_[{node, pg}]; }
  void Claim(NodeNo node, PgId pg, Lsn scl);
  // Follows the links from `scl` down to what is verified already.
  void Verify(NodeNo node, PgId pg, Lsn scl);
  void CheckFall(NodeNo node, PgId pg, Lsn scl);
  static VolumeEpoch LastTruncation(const DurableIndex::Copy& copy);
  bool IsAnnulled(const DurableIndex::Copy& copy, Lsn lsn, VolumeEpoch epoch) const;

  std::map<std::pair<NodeNo, PgId>, Claims> claims_;
};

}  // namespace sextant::simulation
