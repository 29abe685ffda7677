// Geometry, memberships and truncations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/status_matchers.h"
#include "common/volume/descriptor.h"
#include "common/volume/geometry.h"

namespace sextant::volume {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(Geometry, PagesFallIntoProtectionGroupsInOrder) {
  const Geometry geometry{.page_bytes = 4096, .pages_per_pg = 10, .pg_count = 3};
  EXPECT_EQ(geometry.PageCount(), 30u);
  for (uint64_t page = 0; page < 30; ++page) {
    EXPECT_TRUE(geometry.Contains(PageNo(page)));
    EXPECT_EQ(geometry.PgOf(PageNo(page)), PgId(static_cast<uint32_t>(page) / 10));
  }
  EXPECT_FALSE(geometry.Contains(PageNo(30)));
  EXPECT_FALSE(geometry.Contains(PageNo(UINT64_MAX)));
}

TEST(Geometry, APageBeyondEveryVolumeIsOfNoGroup) {
  const Geometry geometry{.page_bytes = 4096, .pages_per_pg = 10, .pg_count = 3};
  EXPECT_EQ(geometry.PgOf(PageNo((1ull << 32) * 10 + 10)), PgId(UINT32_MAX)) << "not group 1";
  EXPECT_EQ(geometry.PgOf(PageNo(UINT64_MAX)), PgId(UINT32_MAX));
}

TEST(Geometry, ASegmentIsTenGibibytesByDefault) {
  const Geometry geometry;
  EXPECT_EQ(geometry.pages_per_pg * geometry.page_bytes, kDefaultSegmentBytes);
  EXPECT_OK(ValidateGeometry(geometry.page_bytes, kDefaultSegmentBytes, geometry.pg_count));
}

TEST(Geometry, ImpossibleOnesAreRefusedWithWhatIsAllowed) {
  for (uint32_t page_bytes : {512u, 1024u, 4096u, 65536u}) {
    EXPECT_THAT(ValidateGeometry(page_bytes, page_bytes * 3ull, 2), IsOk());
  }
  for (uint32_t page_bytes : {0u, 1u, 256u, 4095u, 131072u, UINT32_MAX}) {
    EXPECT_THAT(ValidateGeometry(page_bytes, 1 << 20, 1), StatusIs(kInvalid, HasSubstr("512")));
  }
  EXPECT_THAT(ValidateGeometry(4096, 0, 1), StatusIs(kInvalid, HasSubstr("multiple")));
  EXPECT_THAT(ValidateGeometry(4096, 4097, 1), StatusIs(kInvalid, HasSubstr("multiple")));
  EXPECT_THAT(ValidateGeometry(4096, 4096, 0), StatusIs(kInvalid, HasSubstr("at least one")));
  EXPECT_THAT(ValidateGeometry(4096, 1ull << 62, 5), StatusIs(kInvalid, HasSubstr("2^64")));
}

Membership SixMembers() {
  return {.epoch = MembershipEpoch(1),
          .members = {{"az1-a", "az1"},
                      {"az1-b", "az1"},
                      {"az2-a", "az2"},
                      {"az2-b", "az2"},
                      {"az3-a", "az3"},
                      {"az3-b", "az3"}}};
}

TEST(Membership, SixNodesTwoInEachOfThreeZones) {
  EXPECT_OK(ValidateMembership(SixMembers()));

  Membership five = SixMembers();
  five.members.pop_back();
  EXPECT_THAT(ValidateMembership(five), StatusIs(kInvalid, HasSubstr("not 5")));

  Membership twice = SixMembers();
  twice.members[1] = twice.members[0];
  EXPECT_THAT(ValidateMembership(twice), StatusIs(kInvalid, HasSubstr("az1-a is a member twice")));

  Membership nameless = SixMembers();
  nameless.members[3].node = "";
  EXPECT_THAT(ValidateMembership(nameless), StatusIs(kInvalid, HasSubstr("without a node name")));

  Membership lopsided = SixMembers();
  lopsided.members[2].zone = "az1";
  EXPECT_THAT(ValidateMembership(lopsided), StatusIs(kInvalid, HasSubstr("az1")));
}

const Member kSpare{"az3-c", "az3"};

TEST(MemberChange, BothCountUntilItIsOver) {
  const Membership rest = SixMembers();
  const auto during = BeginChange(rest, 5, kSpare);
  ASSERT_OK(during);
  EXPECT_EQ(during->epoch, rest.epoch.Next());
  EXPECT_EQ(during->Sets().sets(),
            (std::vector<quorum::SlotSet>{{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 6}}));
  EXPECT_EQ(during->SlotOf("az3-c"), 6);
  EXPECT_EQ(during->SlotOf("az3-b"), 5);

  const auto finished = FinishChange(*during, 5);
  ASSERT_OK(finished);
  EXPECT_OK(ValidateMembership(*finished));
  EXPECT_EQ(finished->epoch, during->epoch.Next());
  EXPECT_EQ(finished->Sets().sets(), (std::vector<quorum::SlotSet>{{0, 1, 2, 3, 4, 6}}));
  EXPECT_FALSE(finished->SlotOf("az3-b").has_value());

  const auto undone = UndoChange(*during, 5);
  ASSERT_OK(undone);
  EXPECT_OK(ValidateMembership(*undone));
  EXPECT_EQ(undone->members, rest.members);
  EXPECT_EQ(undone->Sets(), rest.Sets());
}

TEST(MemberChange, ASecondOneNestsAndSlotsAreUsedAgain) {
  auto both = BeginChange(*BeginChange(SixMembers(), 5, kSpare), 0, {"az1-c", "az1"});
  ASSERT_OK(both);
  EXPECT_EQ(both->Sets().sets().size(), 4u);
  EXPECT_EQ(both->ActiveSlots().size(), 8u);
  EXPECT_THAT(BeginChange(*both, 2, {"az2-c", "az2"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("under way")));
  const auto one_left = FinishChange(*both, 5);
  ASSERT_OK(one_left);
  EXPECT_EQ(one_left->Sets().sets(),
            (std::vector<quorum::SlotSet>{{0, 1, 2, 3, 4, 6}, {1, 2, 3, 4, 6, 7}}));
  const auto again = BeginChange(*one_left, 6, {"az3-b", "az3"});
  ASSERT_OK(again);
  EXPECT_EQ(again->SlotOf("az3-b"), 5);
}

TEST(MemberChange, EveryVolumeEpochNumbersItsOwn) {
  const Membership stray = *BeginChange(TakenOver(SixMembers(), VolumeEpoch(6)), 5, kSpare);
  EXPECT_EQ(FormatMembershipEpoch(SixMembers().epoch), "0.1");
  EXPECT_EQ(FormatMembershipEpoch(stray.epoch), "6.2");
  const Membership successor = TakenOver(SixMembers(), VolumeEpoch(7));
  EXPECT_EQ(FormatMembershipEpoch(successor.epoch), "7.1");
  EXPECT_GT(successor.epoch, stray.epoch);
  EXPECT_EQ(successor.members, SixMembers().members);
  EXPECT_GT(TakenOver(successor, VolumeEpoch(2)).epoch, successor.epoch);
}

TEST(MemberChange, ANodeMayReplaceItself) {
  const auto during = BeginChange(SixMembers(), 5, {"az3-b", "az3"});
  ASSERT_OK(during);
  EXPECT_EQ(during->SlotOf("az3-b"), 6) << "what it lost does not come back";
  EXPECT_EQ(FinishChange(*during, 5)->SlotOf("az3-b"), 6);
}

TEST(MemberChange, ImpossibleOnesAreRefused) {
  const Membership rest = SixMembers();
  EXPECT_THAT(BeginChange(rest, 6, kSpare), StatusIs(kInvalid, HasSubstr("no member")));
  EXPECT_THAT(BeginChange(rest, 0, kSpare), StatusIs(kInvalid, HasSubstr("zone")));
  EXPECT_THAT(BeginChange(rest, 5, {"az3-a", "az3"}), StatusIs(kInvalid, HasSubstr("twice")));
  EXPECT_THAT(BeginChange(*BeginChange(rest, 5, kSpare), 5, {"az3-d", "az3"}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("already")));
  EXPECT_THAT(FinishChange(rest, 5), StatusIs(absl::StatusCode::kNotFound, HasSubstr("slot 5")));
  EXPECT_THAT(UndoChange(rest, 9), StatusIs(absl::StatusCode::kNotFound, HasSubstr("slot 9")));
}

TEST(Truncation, AnnulsOlderEpochsInsideItsRangeOnly) {
  const Truncation truncation{VolumeEpoch(5), Lsn(10), Lsn(20)};
  EXPECT_FALSE(truncation.Annuls(Lsn(10), VolumeEpoch(4)));
  EXPECT_TRUE(truncation.Annuls(Lsn(11), VolumeEpoch(4)));
  EXPECT_TRUE(truncation.Annuls(Lsn(20), VolumeEpoch(1)));
  EXPECT_FALSE(truncation.Annuls(Lsn(21), VolumeEpoch(4)));
  EXPECT_FALSE(truncation.Annuls(Lsn(15), VolumeEpoch(5)));
  EXPECT_FALSE(truncation.Annuls(Lsn(15), VolumeEpoch(6)));
}

}  // namespace
}  // namespace sextant::volume
