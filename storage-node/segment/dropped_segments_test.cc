// What a dropped segment leaves behind, and what is made in its place.
#include "storage-node/segment/dropped_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/status_matchers.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using ::sextant::testing::StatusIs;
using namespace sextant::storage::testing;

// The second membership that the writer of that volume epoch made, or the one before or after it.
MembershipEpoch Second(uint64_t writer, int later = 0) {
  const MembershipEpoch first =
      volume::TakenOver(FreshState().membership, VolumeEpoch(writer)).epoch;
  return MembershipEpoch(first.value() + 1 + later);
}

// A segment that was dropped by membership 7.2, with the claim of epoch 7.
class DroppedSegmentsTest : public ::testing::Test {
 protected:
  DroppedSegmentsTest() {
    volume::Membership without = FreshState().membership;
    without.members[0].node = "successor";
    without.epoch = Second(7);
    dropped_.Add(Segment(FreshState()).Remains({kSegment, VolumeEpoch(7), WriterId(70), without}));
  }
  static protocol::CreateSegmentRequest Request(MembershipEpoch membership) {
    protocol::CreateSegmentRequest request{
        .descriptor = FreshState().descriptor, .pg = kSegment.pg, .slot = 3};
    request.membership = FreshState().membership;
    request.membership.epoch = membership;
    return request;
  }
  absl::StatusOr<SegmentState> Make(MembershipEpoch membership) const {
    return dropped_.Make(Request(membership), IncarnationId(43));
  }

  DroppedSegments dropped_;
};

TEST_F(DroppedSegmentsTest, NothingIsMadeForMembersBeforeTheDrop) {
  EXPECT_THAT(Make(Second(5)), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Make(Second(7, -1)), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DroppedSegmentsTest, WhatIsMadeAfterwardsKeepsThePromise) {
  for (const auto& state : {Make(Second(7)), Make(Second(7, 1)), Make(Second(8))}) {
    ASSERT_OK(state);
    EXPECT_FALSE(state->is_dropped);
    EXPECT_EQ(state->incarnation, IncarnationId(43));
    EXPECT_EQ(state->slot, 3);
    Segment segment(*state);
    segment.FinishRestore(std::nullopt);
    EXPECT_EQ(segment.promised_epoch(), VolumeEpoch(7));
    EXPECT_EQ(segment.Status().writer, WriterId(70));
  }
}

TEST_F(DroppedSegmentsTest, OtherSegmentsAndOnesMadeAnewAreNotConcerned) {
  protocol::CreateSegmentRequest other = Request(Second(1));
  other.pg = other.pg.Next();
  const auto state = dropped_.Make(other, IncarnationId(43));
  ASSERT_OK(state);
  EXPECT_EQ(state->epoch, VolumeEpoch());
  dropped_.MadeAnew(kSegment);
  EXPECT_OK(Make(Second(1)));
}

}  // namespace
}  // namespace sextant::storage
