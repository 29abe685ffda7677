// Quorum arithmetic held against one written to be obviously right, over every subset of slots.
#include "common/quorum/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/base/prng.h"

namespace sextant::quorum {
namespace {

using Sets = std::vector<std::vector<int>>;
using Scls = std::array<Lsn, kMaxSlots>;

// The deliberately dumb implementation: counts, and tries every LSN that some slot has reached.
int CountAnswered(const std::vector<int>& set, const std::vector<bool>& answered) {
  int count = 0;
  for (int slot : set) count += answered[static_cast<size_t>(slot)] ? 1 : 0;
  return count;
}
bool DumbIsWrite(const Sets& sets, const std::vector<bool>& answered) {
  for (const auto& set : sets) {
    if (CountAnswered(set, answered) < 4) return false;
  }
  return true;
}
bool DumbIsRead(const Sets& sets, const std::vector<bool>& answered) {
  for (const auto& set : sets) {
    if (CountAnswered(set, answered) < 3) return false;
  }
  return true;
}
Lsn DumbDurable(const Sets& sets, const Scls& scls) {
  Lsn best;
  for (Lsn candidate : scls) {
    std::vector<bool> has(kMaxSlots);
    for (size_t slot = 0; slot < kMaxSlots; ++slot) has[slot] = scls[slot] >= candidate;
    if (DumbIsWrite(sets, has)) best = std::max(best, candidate);
  }
  return best;
}

QuorumSets Real(const Sets& sets) {
  std::vector<SlotSet> slot_sets;
  for (const auto& set : sets) {
    SlotSet slots;
    for (int slot : set) slots.Insert(static_cast<Slot>(slot));
    slot_sets.push_back(slots);
  }
  return QuorumSets(slot_sets);
}

// At rest; F replaced by G; a second failure in the middle of it: E replaced by H (S18, figure 5).
const std::vector<Sets> kConfigurations = {
    {{0, 1, 2, 3, 4, 5}},
    {{0, 1, 2, 3, 4, 6}},
    {{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 6}},
    {{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 6}, {0, 1, 2, 3, 5, 7}, {0, 1, 2, 3, 6, 7}},
};

struct Subset {
  explicit Subset(unsigned bits) : answered(kMaxSlots) {
    for (int slot = 0; slot < kMaxSlots; ++slot) {
      if ((bits >> slot & 1) == 0) continue;
      answered[static_cast<size_t>(slot)] = true;
      slots.Insert(static_cast<Slot>(slot));
    }
  }
  std::vector<bool> answered;
  SlotSet slots;
};

TEST(Quorum, AgreesWithTheDumbOneOnEverySubset) {
  for (const Sets& sets : kConfigurations) {
    const QuorumSets quorum = Real(sets);
    for (unsigned bits = 0; bits < 256; ++bits) {
      const Subset subset(bits);
      EXPECT_EQ(quorum.IsWriteQuorum(subset.slots), DumbIsWrite(sets, subset.answered)) << bits;
      EXPECT_EQ(quorum.IsReadQuorum(subset.slots), DumbIsRead(sets, subset.answered)) << bits;
    }
  }
}

TEST(Quorum, DurableLsnAgreesWithTheDumbOne) {
  Prng prng(1);
  for (const Sets& sets : kConfigurations) {
    const QuorumSets quorum = Real(sets);
    for (int i = 0; i < 5000; ++i) {
      Scls scls;
      const uint64_t spread = 1ull << prng.Between(1, 63);
      for (Lsn& scl : scls) scl = Lsn(prng.Below(spread));
      EXPECT_EQ(quorum.DurableLsn(scls), DumbDurable(sets, scls));
    }
  }
}

TEST(Quorum, DurableLsnAgreesOnEveryVectorOfSmallScls) {
  const Sets& sets = kConfigurations[0];
  const QuorumSets quorum = Real(sets);
  for (int code = 0; code < 4096; ++code) {  // every six of {0, 1, 2, 3}
    Scls scls{};
    for (size_t slot = 0; slot < 6; ++slot) scls[slot] = Lsn(code >> (2 * slot) & 3);
    EXPECT_EQ(quorum.DurableLsn(scls), DumbDurable(sets, scls)) << code;
  }
}

TEST(Quorum, SlotsBeyondTheSpanCountAsNothing) {
  const std::array<Lsn, 4> four = {Lsn(9), Lsn(8), Lsn(7), Lsn(6)};
  EXPECT_EQ(QuorumSets().DurableLsn(four), Lsn(6));
  EXPECT_EQ(QuorumSets().DurableLsn(std::span(four).first(3)), Lsn(0));
  EXPECT_EQ(QuorumSets().DurableLsn({}), Lsn(0));
}

TEST(Quorum, EveryReadQuorumMeetsEveryWriteQuorum) {
  for (const Sets& sets : kConfigurations) {
    const QuorumSets quorum = Real(sets);
    for (unsigned write = 0; write < 256; ++write) {
      if (!quorum.IsWriteQuorum(Subset(write).slots)) continue;
      for (unsigned other = 0; other < 256; ++other) {
        const SlotSet slots = Subset(other).slots;
        if (quorum.IsReadQuorum(slots) || quorum.IsWriteQuorum(slots)) {
          EXPECT_GT(slots.Intersect(Subset(write).slots).size(), 0) << write << " " << other;
        }
      }
    }
  }
}

// Written while only the first set counted, read once the change has begun, and the other way
// round: what makes a change safe at each step.
TEST(Quorum, ReadsOfAChangeMeetTheWritesBeforeAndAfterIt) {
  const QuorumSets before = Real(kConfigurations[0]);
  const QuorumSets during = Real(kConfigurations[2]);
  const QuorumSets after = Real(kConfigurations[1]);
  for (unsigned read = 0; read < 256; ++read) {
    const SlotSet readers = Subset(read).slots;
    if (!during.IsReadQuorum(readers)) continue;
    for (unsigned write = 0; write < 256; ++write) {
      const SlotSet writers = Subset(write).slots;
      if (!before.IsWriteQuorum(writers) && !after.IsWriteQuorum(writers)) continue;
      EXPECT_GT(readers.Intersect(writers).size(), 0) << read << " " << write;
    }
  }
}

TEST(Quorum, AnAzMayBeLostForWritesAndAnAzAndOneMoreForReads) {
  const QuorumSets quorum;  // slots 2z and 2z + 1 lie in zone z
  for (int zone = 0; zone < kZones; ++zone) {
    SlotSet left = quorum.AllSlots();
    left.Erase(static_cast<Slot>(2 * zone));
    left.Erase(static_cast<Slot>(2 * zone + 1));
    EXPECT_TRUE(quorum.IsWriteQuorum(left));
    for (Slot slot = 0; slot < kMembers; ++slot) {
      if (!left.Contains(slot)) continue;
      SlotSet less = left;
      less.Erase(slot);
      EXPECT_FALSE(quorum.IsWriteQuorum(less));
      EXPECT_TRUE(quorum.IsReadQuorum(less));
    }
  }
}

TEST(Quorum, AllSlotsIsTheUnion) {
  EXPECT_EQ(QuorumSets().AllSlots(), (SlotSet{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(Real(kConfigurations[2]).AllSlots(), (SlotSet{0, 1, 2, 3, 4, 5, 6}));
}

TEST(SlotSet, HoldsWhatWasInserted) {
  SlotSet set{1, 7};
  EXPECT_EQ(set.size(), 2);
  EXPECT_TRUE(set.Contains(7) && set.Contains(1) && !set.Contains(0));
  set.Erase(1);
  set.Insert(7);
  EXPECT_EQ(set, SlotSet{7});
}

TEST(QuorumDeathTest, SetsHaveSixSlotsBelowEight) {
  EXPECT_DEATH(QuorumSets(std::vector<SlotSet>{}), "invariant");
  EXPECT_DEATH(QuorumSets({SlotSet{0, 1, 2, 3, 4}}), "invariant");
  EXPECT_DEATH(SlotSet().Insert(8), "slot 8");
}

}  // namespace
}  // namespace sextant::quorum
