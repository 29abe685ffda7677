// MemberSessions: whether a member may be sent to, from what its segment says of itself. Core.
//
// A member streams only after it has answered for this writer's epoch with the whole truncation
// list: otherwise it could acknowledge beside records that recovery annulled. One whose durable
// state is another than before (incarnation) is never counted again: what it acknowledged is gone.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/instant.h"
#include "common/protocol/storage_messages.h"
#include "compute-node/volume/member_address.h"

namespace sextant::compute {

enum class MemberState {
  kDown,          // no stream
  kRaisingEpoch,  // has not answered for this epoch yet
  kStreaming,
  kBehind,   // streaming, but lacks records that the writer no longer keeps
  kDamaged,  // holds less than it once acknowledged, or is not the segment it was: not counted
  kNoSpace,  // refuses for want of disk; tried again
};

class MemberSessions {
 public:
  struct Claim {  // what a member must have answered for
    VolumeId volume;
    VolumeEpoch epoch;
    WriterId writer;
    std::vector<volume::Truncation> truncations;
  };
  enum class Verdict {
    kIgnore,      // out of phase
    kStream,      // answered for the claim: send from its SCL
    kRaiseEpoch,  // must be told of the claim first
    kRetryLater,  // could not be told; TakeDue will name it
    kUnusable,    // not the segment it should be
    kFenced,      // it has answered for a newer epoch: this writer is over
  };
  MemberSessions(Claim claim, absl::Duration retry_interval);

  // A member must have answered for this membership of its group, or a later one, from now on.
  void SetMembership(PgId pg, MembershipEpoch epoch);
  // Another member has come to this slot, or none.
  void Reset(MemberAddress member);

  // The next protection group; `epoch`: of its membership in effect.
  void AddGroup(MembershipEpoch epoch) {
    groups_.emplace_back(quorum::kMaxSlots);
    memberships_.push_back(epoch);
  }

  Verdict Up(MemberAddress member, const protocol::SegmentStatus& status);
  Verdict EpochRaised(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply,
                      Instant now);
  void Down(MemberAddress member);

  // The member refused a batch: for want of the claim (tell it now, or later), of disk space,
  // because the batch arrived damaged, or because its segment is gone.
  void NeedsClaim(MemberAddress member);
  void NeedsClaimLater(MemberAddress member, Instant now);
  void NoSpace(MemberAddress member, Instant now);
  void Damaged(MemberAddress member, Instant now);
  void Gone(MemberAddress member);
  // An OK acknowledgement.
  void Accepted(MemberAddress member);

  // Members to try again, each once: raise the epoch of those that are kRaisingEpoch, send the
  // others again.
  std::vector<MemberAddress> TakeDue(Instant now);

  // Never kBehind, which the Shipper knows.
  MemberState state(MemberAddress member) const { return At(member).state; }
  // Whether something was said by the segment that this writer counts on in that place, and not by
  // one that had it before, or was there before it was dropped and made anew.
  bool IsWordOf(MemberAddress member, IncarnationId incarnation) const {
    return At(member).incarnation == incarnation;
  }
  // Its segment has answered at least once.
  bool WasSeen(MemberAddress member) const { return At(member).incarnation.has_value(); }
  // Acknowledgements of the member mean something.
  bool IsUp(MemberAddress member) const;

 private:
  struct Session {
    MemberState state = MemberState::kDown;
    std::optional<IncarnationId> incarnation;  // first seen
    Instant retry_at = Instant::Max();
  };
  Session& At(MemberAddress member) { return groups_[member.pg.value()][member.slot]; }
  const Session& At(MemberAddress member) const { return groups_[member.pg.value()][member.slot]; }
  Verdict Judge(MemberAddress member, const protocol::SegmentStatus& status);

  Claim claim_;
  absl::Duration retry_interval_;
  std::vector<MembershipEpoch> memberships_;  // by PG: what a member must have answered for too
  std::vector<std::vector<Session>> groups_;  // by PG, by slot
};

}  // namespace sextant::compute
