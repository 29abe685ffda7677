// Quorum arithmetic: six members in three availability zones, writes on 4, reads on 3. Core, a
// leaf.
//
// Vr + Vw > 6, so every read quorum meets every write quorum; Vw > 3, so two writes meet. An AZ may
// be lost and writes go on; an AZ and one more member may be lost and no data is lost (SIGMOD'17,
// section 2.2). During a membership change both must satisfy every member set: that is what the
// vectors of sets are for. (SIGMOD'18, section 4.1, lets a read satisfy any one set; that finds
// what was written before the change only if the new member already holds it.
// docs/decisions/2026-11-22-reads-need-every-set.md.)
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "common/base/check.h"
#include "common/log/lsn.h"

namespace sextant::quorum {

inline constexpr int kMembers = 6;
inline constexpr int kWriteQuorum = 4;
inline constexpr int kReadQuorum = 3;
inline constexpr int kZones = 3;
static_assert(kReadQuorum + kWriteQuorum > kMembers && 2 * kWriteQuorum > kMembers);

// A slot of a protection group's member table. Slots 0..5 are the six members; a change in progress
// gives its candidate the next slot (6, 7).
using Slot = uint8_t;
inline constexpr int kMaxSlots = 8;

// A set of slots.
class SlotSet {
 public:
  constexpr SlotSet() = default;
  constexpr SlotSet(std::initializer_list<int> slots) {
    for (int slot : slots) Insert(static_cast<Slot>(slot));
  }
  constexpr void Insert(Slot slot) { bits_ = static_cast<uint8_t>(bits_ | Bit(slot)); }
  constexpr void Erase(Slot slot) { bits_ = static_cast<uint8_t>(bits_ & ~Bit(slot)); }
  constexpr bool Contains(Slot slot) const { return (bits_ & Bit(slot)) != 0; }
  constexpr int size() const { return __builtin_popcount(bits_); }
  constexpr SlotSet Intersect(SlotSet other) const { return FromBits(bits_ & other.bits_); }
  constexpr bool operator==(const SlotSet&) const = default;

  // Bit i stands for slot i: how sets are stored and sent.
  constexpr uint8_t bits() const { return bits_; }
  static constexpr SlotSet FromBits(unsigned bits) {
    SlotSet set;
    set.bits_ = static_cast<uint8_t>(bits);
    return set;
  }

 private:
  static constexpr unsigned Bit(Slot slot) {
    SEXTANT_CHECK(slot < kMaxSlots) << "slot " << int{slot};
    return 1u << slot;
  }
  uint8_t bits_ = 0;
};

// The sets that count for one protection group: one set of six at rest, two or more during a
// change.
class QuorumSets {
 public:
  QuorumSets();                                    // the one set {0..5}
  explicit QuorumSets(std::vector<SlotSet> sets);  // each of exactly six slots, at least one set

  // At least kWriteQuorum of every set has answered.
  bool IsWriteQuorum(SlotSet answered) const;
  // At least kReadQuorum of every set has answered.
  bool IsReadQuorum(SlotSet answered) const;
  // PGCL: the highest LSN that a write quorum has reached, given each slot's SCL (indexed by slot;
  // slots beyond the span count as Lsn{0}).
  Lsn DurableLsn(std::span<const Lsn> scl_by_slot) const;
  const std::vector<SlotSet>& sets() const { return sets_; }
  bool operator==(const QuorumSets&) const = default;
  // Every slot that is in some set.
  SlotSet AllSlots() const;

 private:
  std::vector<SlotSet> sets_;
};

}  // namespace sextant::quorum
