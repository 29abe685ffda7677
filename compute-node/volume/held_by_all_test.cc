// Stories of HeldByAll: who is waited for, and for how long.
#include "compute-node/volume/held_by_all.h"

#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

constexpr absl::Duration kAbsence = absl::Minutes(10);

Instant At(int minutes) { return Instant() + absl::Minutes(minutes); }

std::vector<HeldByAll::Member> AllAt(uint64_t scl, bool is_here = true) {
  std::vector<HeldByAll::Member> members;
  for (quorum::Slot slot = 0; slot < quorum::kMembers; ++slot) {
    members.push_back({.slot = slot, .is_here = is_here, .scl = Lsn(scl)});
  }
  return members;
}

TEST(HeldByAll, IsTheLowestOfAll) {
  HeldByAll held(kAbsence);
  auto members = AllAt(50);
  members[3].scl = Lsn(20);
  held.Update(members, At(0));
  EXPECT_EQ(held.lsn(), Lsn(20));
  members[3].scl = Lsn(40);
  held.Update(members, At(0));
  EXPECT_EQ(held.lsn(), Lsn(40));
}

TEST(HeldByAll, WaitsForOneThatIsAwayAndThenNoMore) {
  HeldByAll held(kAbsence);
  auto members = AllAt(50);
  held.Update(members, At(0));
  members = AllAt(90);
  members[2] = {.slot = 2, .is_here = false, .scl = Lsn(50)};
  held.Update(members, At(10));
  EXPECT_EQ(held.lsn(), Lsn(50));
  held.Update(members, At(11));
  EXPECT_EQ(held.lsn(), Lsn(90));
}

TEST(HeldByAll, NeverFallsWhenOneComesBackBehind) {
  HeldByAll held(kAbsence);
  held.Update(AllAt(90), At(0));
  auto members = AllAt(95);
  members[2] = {.slot = 2, .is_here = true, .scl = Lsn(50)};
  held.Update(members, At(1));
  EXPECT_EQ(held.lsn(), Lsn(90));
  members[2].scl = Lsn(95);
  held.Update(members, At(2));
  EXPECT_EQ(held.lsn(), Lsn(95));
}

TEST(HeldByAll, AfterOpeningAllAreWaitedForThoughNobodyKnowsThem) {
  HeldByAll held(kAbsence);
  auto members = AllAt(90);
  members[5] = {.slot = 5};
  held.Update(members, At(7));  // the clock started long before
  EXPECT_EQ(held.lsn(), Lsn());
  held.Update(members, At(17));
  EXPECT_EQ(held.lsn(), Lsn());
  held.Update(members, At(18));
  EXPECT_EQ(held.lsn(), Lsn(90));
}

TEST(HeldByAll, ANewMemberIsWaitedForFromNowOn) {
  HeldByAll held(kAbsence);
  held.Update(AllAt(90), At(0));
  auto members = AllAt(95);
  members.push_back({.slot = 6});
  held.Update(members, At(60));
  EXPECT_EQ(held.lsn(), Lsn(90));
}

TEST(HeldByAll, WithNobodyLeftNothingMoves) {
  HeldByAll held(kAbsence);
  const auto nobody = AllAt(0, false);
  held.Update(nobody, At(0));
  held.Update(nobody, At(60));
  EXPECT_EQ(held.lsn(), Lsn());
}

}  // namespace
}  // namespace sextant::compute
