// DurableIndex: which records lie durably on which disk, learnt from the disks alone.
//
// Follows every durable write and every injury; asks no segment. A record that was injured counts
// as held until its node starts again (a running process does not know), and as "ever held" for
// good: damage is the disk's doing, not the protocol's. Who the members of a group are, and whose
// copies count, is read from the memberships that lie on disks.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "tests/simulation/check/history.h"

namespace sextant::simulation {

// Whether so many of each set are among `slots`. The arithmetic of common/quorum is what is judged.
inline bool HasOfEverySet(const volume::Membership& membership, quorum::SlotSet slots, int count) {
  const quorum::QuorumSets quorums = membership.Sets();
  return std::ranges::all_of(
      quorums.sets(), [&](quorum::SlotSet set) { return set.Intersect(slots).size() >= count; });
}

class DurableIndex final : public Observer {
 public:
  struct Held {
    VolumeEpoch epoch;
    Lsn prev_pg;
    int copies = 0;           // batches that hold it
    bool is_injured = false;  // none of them whole any more
  };
  // One node's image of one protection group.
  struct Copy {
    absl::btree_map<Lsn, Held> records;
    std::set<Lsn> lost;  // was durable and is damaged or gone
    // Lay in a position that was injured since the node started: a segment that looks there finds
    // it missing, even if another position holds it.
    std::set<Lsn> hurt;
    std::optional<storage::SegmentState> state;
    // These outlive a lost disk:
    std::optional<quorum::Slot> slot;
    IncarnationId incarnation;
    VolumeEpoch sealed;    // highest epoch ever durable
    MembershipEpoch told;  // highest membership ever durable
    uint32_t groups = 0;   // of the largest geometry ever durable
    Lsn paged;             // the highest log start ever durable
    bool is_wiped = false;
    bool is_amnesiac = false;  // made anew in the place of a member that lost its disk
    uint64_t injuries = 0;
    // Positions that cannot be read, and that the segment has not durably made good: a start that
    // finds a gap cannot tell what they held, so the member is as good as damaged.
    storage::PositionSet holes;

    // Records of the group at or below it are kept as page versions only.
    Lsn log_start() const { return state.has_value() ? state->log_start : Lsn(); }
    // As a record, as pages, or before its disk was injured.
    bool HasEverHeld(Lsn lsn) const {
      return records.contains(lsn) || lost.contains(lsn) || lsn <= paged;
    }
  };

  // What the disks know of a group's members.
  struct Members {
    std::map<MembershipEpoch, volume::Membership> known;
    // The newest for which a write quorum of each of its sets has answered; before there is one,
    // the newest.
    MembershipEpoch in_effect;
    bool is_in_effect = false;
  };

  DurableIndex(Sim* sim, History* history) : sim_(*sim), history_(*history) {}

  std::map<std::string, NodeNo> nodes;  // by name

  Copy& At(NodeNo node, PgId pg) { return copies_[{node, pg}]; }
  const std::map<std::pair<NodeNo, PgId>, Copy>& copies() const { return copies_; }

  // Segments of the group that hold the record, or did before their disk was injured.
  int CountEver(PgId pg, Lsn lsn) const;
  int CountWhole(PgId pg, Lsn lsn) const;

  // --- members. Null: no segment was ever made for the member, or it was dropped when the
  // membership in effect was this one or an older one.
  const Copy* CopyOf(PgId pg, const volume::Membership& membership, quorum::Slot slot) const;
  template <typename Predicate>  // of a Copy
  quorum::SlotSet Where(PgId pg, const volume::Membership& membership, Predicate is_so) const {
    quorum::SlotSet slots;
    for (const quorum::Slot slot : membership.ActiveSlots()) {
      const Copy* copy = CopyOf(pg, membership, slot);
      if (copy != nullptr && is_so(*copy)) slots.Insert(slot);
    }
    return slots;
  }
  // The same, also of those that were so when they were dropped, because a newer membership than
  // this one was in effect.
  template <typename Predicate>
  quorum::SlotSet WhereEver(PgId pg, const volume::Membership& membership, Predicate is_so) const {
    quorum::SlotSet slots = Where(pg, membership, is_so);
    for (const quorum::Slot slot : membership.ActiveSlots()) {
      const Copy* copy = DroppedAfter(pg, membership, slot);
      if (copy != nullptr && is_so(*copy)) slots.Insert(slot);
    }
    return slots;
  }
  // Who holds the record, or did before its disk was injured or it was dropped, as WhereEver.
  quorum::SlotSet Holders(PgId pg, const volume::Membership& membership, Lsn lsn) const;
  bool HasMembers(PgId pg) const { return members_.contains(pg); }
  // Group 0 says so, on a write quorum; else it may have been begun, and be begun anew.
  bool IsPartOfVolume(PgId pg) const;
  const volume::Membership& InEffect(PgId pg) const;
  // The newest on any disk, of a writer of `through` or before.
  const volume::Membership& Newest(PgId pg, VolumeEpoch through = VolumeEpoch(UINT32_MAX)) const;
  // Members with that much damage that they must not be injured further within the budget.
  bool IsInjured(NodeNo node, PgId pg);

  // --- Observer
  void Durable(NodeNo node, const storage::StoreWrite& write) override;
  void LogInjured(NodeNo node, SegmentId segment, storage::LogPosition position) override;
  void LogAppeared(NodeNo node, const storage::LogAppend& append) override;
  void DiskLost(NodeNo node) override;
  void NodeStarted(NodeNo node, const std::vector<protocol::SegmentStatus>& segments) override;

 private:
  struct Decoded {
    std::shared_ptr<const std::string> bytes;  // keeps the address taken
    std::vector<log::RecordHeader> headers;
  };
  const Decoded& Decode(const std::shared_ptr<const std::string>& batch);
  void Add(NodeNo node, const storage::LogAppend& append);
  void Drop(NodeNo node, const storage::LogDrop& drop);
  void Forget(NodeNo node, PgId pg);
  void Keep(NodeNo node, const storage::SegmentState& state);
  void Learn(PgId pg, const volume::Membership& membership);
  void CompareWithHistory(const log::RecordView& record);
  const Copy* DroppedAfter(PgId pg, const volume::Membership& membership, quorum::Slot slot) const;

  Sim& sim_;
  History& history_;
  std::map<std::pair<NodeNo, PgId>, Copy> copies_;
  // Lost with a disk, and their node has another segment of the group now.
  std::map<std::pair<NodeNo, PgId>, std::vector<Copy>> former_;
  // Dropped, by the membership in effect then. A writer that was succeeded may still answer what
  // was durable by its own membership before the drop.
  std::map<std::tuple<NodeNo, PgId, quorum::Slot>, std::map<MembershipEpoch, Copy>> dropped_;
  std::map<PgId, Members> members_;
  std::map<std::tuple<NodeNo, PgId, storage::LogPosition>, const Decoded*> positions_;
  absl::flat_hash_map<const std::string*, std::unique_ptr<Decoded>> decoded_;
};

}  // namespace sextant::simulation
