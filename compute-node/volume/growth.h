// Growth adds protection groups to an open volume, one step at a time. Core.
//
// A step adds the groups that hold the pages that were asked for (docs/PROTOCOL.md, "Growth"):
//
//   kGroups    CreateSegment on the six members of every new group, then this writer's claim on
//              each; done when a write quorum of every new group has answered for it
//   kGeometry  the new geometry to protection group 0, by the same claim; done on a write quorum
//
// Then, and not before, TakeDone() hands the groups over and LSNs may be allocated in them. The
// rest of the six are pursued for as long as the writer lives: such a member has acknowledged
// nothing, so an empty segment is as good as the one that it never had. The cost of a step depends
// on the groups added, not on how many there are.
//
// A crash at any point is safe: a geometry that no member of group 0 has heard of leaves segments
// that nobody looks at and that the next growth uses; one that any of them has heard of names only
// groups that exist on a write quorum. Two writers cannot give one geometry epoch two meanings,
// because it rises by one with every group.
//
// A segment is made in one data directory of its node and never in a later one: what it promised or
// acknowledged there may be known to other writers, and would be forgotten. The directory is the
// first that is known of the node during the step; where it was lost, the member is. On a node that
// was first heard after the step it is made where that shows other segments of the volume. Nothing
// is made before it is proven that no newer writer was open when the directory was heard of.
//
// The volume itself (descriptor, memberships, claim) is the Writer's and is passed in. Owns no
// clock; equal inputs give equal outputs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/directory_id.h"
#include "common/base/instant.h"
#include "common/protocol/storage_messages.h"
#include "common/volume/membership.h"
#include "compute-node/volume/duty_book.h"
#include "compute-node/volume/member_address.h"
#include "compute-node/volume/recovery.h"

namespace sextant::compute {

// The members of a group that is added after one with `last`: the same, as they will be when the
// changes under way are over. Its epoch is that of `last`, whose content it follows from.
volume::Membership MembershipOfNewGroup(const volume::Membership& last);

// The data directory that a node was heard to have. A segment is made in it once EpochGuard has
// proven the request of that moment: a newer writer may have counted a segment in the very slot,
// lost since with an earlier directory, and what is made in this one would pass for it, without
// what it promised and held (simulator, seeds 2119117 and 2207733).
struct HeardDirectory {
  DirectoryId directory;
  uint64_t proof = 0;  // EpochGuard::Request
};
using HeardDirectories = std::map<std::string, HeardDirectory>;  // by node

struct GrowthOptions {
  // The volume gets no larger than this.
  uint64_t max_volume_bytes = 64ull << 40;
  // Groups are added when a page is written that lies so close to the end, in parts of a group.
  // 4: in the last quarter.
  uint64_t ahead_divisor = 4;
  // In one step, at most.
  uint32_t max_groups_per_step = 16;
  absl::Duration retry_interval = absl::Seconds(1);
};

class Growth {
 public:
  enum class Phase { kIdle, kGroups, kGeometry };

  // Duties, each answered with the input that names it. `node`: where the member lives.
  struct CreateSegment {  // SegmentCreated
    MemberAddress member;
    std::string node;
    protocol::CreateSegmentRequest request;
  };
  struct RaiseEpoch {  // EpochRaised
    MemberAddress member;
    std::string node;
    protocol::RaiseEpochRequest request;
  };
  struct Duties {
    std::vector<CreateSegment> creates;
    std::vector<RaiseEpoch> raises;
  };
  // What a step has added.
  struct Done {
    volume::Descriptor descriptor;
    std::vector<volume::Membership> memberships;  // of the new groups
    // What their members that answered said last.
    std::map<MemberAddress, protocol::SegmentStatus> members;
  };

  explicit Growth(GrowthOptions options);

  // OK: the volume holds the page. RESOURCE_EXHAUSTED: it is being added, or may be with Want.
  // OUT_OF_RANGE: it never will, the message says why.
  absl::Status Check(PageNo page, const volume::Geometry& geometry) const;
  // Grows the volume until it holds the page, as far as allowed.
  void Want(PageNo page, const volume::Geometry& geometry);
  // A page was written: grows the volume ahead of it. True: more is wanted than there is.
  bool Written(PageNo page, const volume::Geometry& geometry);
  // A member of group 0 has heard of so many groups.
  void Heard(uint32_t pg_count);
  // The member's node is well and does not have its segment, and the group holds nothing that was
  // acknowledged by it: it is made.
  void Missing(MemberAddress member);
  // It has its segment after all.
  void Found(MemberAddress member);

  // True: the segment of a member of the volume that was missing is there now.
  bool SegmentCreated(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply,
                      const RecoveredVolume& volume);
  // Of members of new groups and, in kGeometry, of group 0; others are ignored.
  void EpochRaised(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply,
                   const RecoveredVolume& volume);
  // Issues what is wanted and not under way. To be called after every input and with every tick.
  // `directories`: of the nodes that were heard, `proven`: EpochGuard::proven().
  void Pursue(const RecoveredVolume& volume, const HeardDirectories& directories, uint64_t proven,
              Instant now);
  Duties TakeDuties();
  // Set once after a step is through; the volume passed in from then on is the larger one.
  std::optional<Done> TakeDone();
  // The writer is fenced: nothing is asked of anybody any more.
  void Stop();

  Phase phase() const { return phase_; }
  // Members whose segment is still to be made.
  size_t missing_members() const { return missing_.size(); }
  // Groups that the step under way adds.
  size_t groups_under_way() const { return memberships_.size(); }
  // One line for people; empty when nothing goes on.
  std::string Describe() const;

 private:
  uint32_t MaxGroups(const volume::Geometry& geometry) const;
  uint32_t GroupsFor(uint64_t page, const volume::Geometry& geometry) const;
  bool IsNew(PgId pg) const;
  bool IsQuorum(const std::map<MemberAddress, protocol::SegmentStatus>& members, PgId pg,
                const volume::Membership& membership) const;
  void BeginStep(const RecoveredVolume& volume);
  void Advance(const RecoveredVolume& volume);
  void FindImpossible();
  void Pin(MemberAddress member, const volume::Membership& membership,
           const HeardDirectories& directories);
  void IssueCreate(MemberAddress member, const volume::Membership& membership,
                   const volume::Descriptor& descriptor, DutyBook* book, Instant now);
  void IssueRaise(MemberAddress member, const volume::Membership& membership,
                  const RecoveredVolume& volume, Instant now);
  void PursueGroups(const RecoveredVolume& volume, const HeardDirectories& directories,
                    Instant now);

  const GrowthOptions options_;
  Phase phase_ = Phase::kIdle;
  bool is_stopped_ = false;
  uint32_t wanted_groups_ = 0;

  // Of the step under way: the volume that it makes, and the new groups' members, from
  // `first_new_` on.
  volume::Descriptor target_;
  PgId first_new_;
  std::vector<volume::Membership> memberships_;
  std::map<MemberAddress, protocol::SegmentStatus> created_;
  std::map<MemberAddress, protocol::SegmentStatus> claimed_;
  std::map<MemberAddress, protocol::SegmentStatus> told_;  // of group 0
  std::map<MemberAddress, absl::Status> refused_;          // will not make the segment
  absl::Status impossible_;                                // while refusals leave no write quorum
  absl::Status last_error_;

  // Members of groups of the volume whose segment was never made.
  std::map<MemberAddress, absl::Status> missing_;
  std::map<MemberAddress, HeardDirectory> pinned_;  // where members of added groups are made
  uint64_t proven_ = 0;
  DutyBook book_;
  DutyBook missing_book_;
  Duties duties_;
  std::optional<Done> done_;
};

}  // namespace sextant::compute
