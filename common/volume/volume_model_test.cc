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
