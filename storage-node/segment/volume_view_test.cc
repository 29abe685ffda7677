// What a segment lets itself be told of the volume, and that a claim makes it durable.
#include "storage-node/segment/volume_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/status_matchers.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using ::sextant::testing::StatusIs;
using ::testing::SizeIs;

volume::Descriptor Grown(volume::Descriptor descriptor, uint32_t groups) {
  descriptor.geometry.pg_count += groups;
  descriptor.geometry.epoch = descriptor.geometry.epoch.Next();
  return descriptor;
}

volume::Membership WithSpare(const volume::Membership& membership, quorum::Slot from) {
  return *volume::BeginChange(membership, from, {"spare", membership.members[from].zone});
}

class VolumeViewTest : public ::testing::Test {
 protected:
  VolumeView View() const { return {state_.descriptor, state_.membership}; }

  Rig rig_;
  const SegmentState state_ = rig_.segment().state();
};

TEST_F(VolumeViewTest, TakesTheNewerOfEach) {
  VolumeView view = View();
  const volume::Descriptor grown = Grown(state_.descriptor, 2);
  const volume::Membership change = WithSpare(state_.membership, 5);
  EXPECT_OK(view.Check(grown, change));
  EXPECT_TRUE(view.Take(grown, change));
  EXPECT_EQ(view.descriptor(), grown);
  EXPECT_EQ(view.membership(), change);
  EXPECT_OK(view.Check(state_.descriptor, state_.membership)) << "an old one is no news";
  EXPECT_FALSE(view.Take(state_.descriptor, state_.membership));
  EXPECT_EQ(view.descriptor(), grown);
}

TEST_F(VolumeViewTest, RefusesWhatContradictsIt) {
  const VolumeView view = View();
  volume::Descriptor other = state_.descriptor;
  other.geometry.page_bytes *= 2;
  EXPECT_THAT(view.Check(other, std::nullopt), StatusIs(absl::StatusCode::kInvalidArgument));
  other = state_.descriptor;
  ++other.geometry.pg_count;
  EXPECT_THAT(view.Check(other, std::nullopt), StatusIs(absl::StatusCode::kAborted));
  volume::Membership renamed = state_.membership;
  renamed.members[0].node = "other";
  EXPECT_THAT(view.Check(std::nullopt, renamed), StatusIs(absl::StatusCode::kAborted));
  renamed.epoch = renamed.epoch.Next();
  EXPECT_OK(view.Check(std::nullopt, renamed));
  renamed.members.pop_back();
  EXPECT_THAT(view.Check(std::nullopt, renamed), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(VolumeViewTest, AClaimMakesItDurable) {
  protocol::RaiseEpochRequest claim = Raise(1, 1);
  claim.epoch = state_.epoch;
  claim.writer = state_.writer;
  claim.descriptor = Grown(state_.descriptor, 1);
  claim.membership = WithSpare(state_.membership, 5);
  rig_.segment().RaiseEpoch(claim, ReplyToken(9));
  rig_.Take();
  EXPECT_THAT(rig_.replies, SizeIs(0));
  rig_.Settle();
  ASSERT_THAT(rig_.replies, SizeIs(1));
  ASSERT_OK(rig_.replies[0].reply);
  EXPECT_EQ(rig_.replies[0].reply->membership, *claim.membership);
  rig_.Crash();
  EXPECT_EQ(rig_.segment().state().descriptor, *claim.descriptor);
  EXPECT_EQ(rig_.segment().state().membership, *claim.membership);
}

TEST_F(VolumeViewTest, BatchesOfANewerMembershipWaitForItAndOlderOnesAreTaken) {
  const log::EncodedBatch old_batch = Batch({Redo(1, 0)});
  const volume::Membership change = WithSpare(state_.membership, 5);
  protocol::RaiseEpochRequest claim = Raise(1, 1);
  claim.epoch = state_.epoch;
  claim.writer = state_.writer;
  claim.membership = change;
  rig_.segment().RaiseEpoch(claim, ReplyToken(9));
  rig_.Send(old_batch);
  rig_.Settle();
  ASSERT_THAT(rig_.acks, SizeIs(1));
  EXPECT_OK(rig_.acks[0].ack.status) << "sealed before the change, sent after it";
}

TEST_F(VolumeViewTest, AnEmptySegmentServesAnotherGrowthAndAUsedOneDoesNot) {
  const protocol::CreateSegmentRequest same{state_.descriptor, state_.segment.pg, state_.membership,
                                            state_.slot};
  protocol::CreateSegmentRequest larger = same;
  larger.descriptor = Grown(state_.descriptor, 3);
  protocol::CreateSegmentRequest moved = larger;
  moved.slot = static_cast<quorum::Slot>((state_.slot + 1) % quorum::kMembers);
  protocol::CreateSegmentRequest other = larger;
  other.descriptor.geometry.page_bytes *= 2;
  EXPECT_OK(rig_.segment().CheckCreate(same));
  EXPECT_OK(rig_.segment().CheckCreate(larger));
  EXPECT_THAT(rig_.segment().CheckCreate(moved), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(rig_.segment().CheckCreate(other), StatusIs(absl::StatusCode::kAborted));
  rig_.Send(Batch({Redo(1, 0)}));
  rig_.Settle();
  EXPECT_OK(rig_.segment().CheckCreate(same));
  EXPECT_THAT(rig_.segment().CheckCreate(larger), StatusIs(absl::StatusCode::kAborted));
}

TEST_F(VolumeViewTest, AReplacedSegmentTakesNoPart) {
  const quorum::Slot own = state_.slot;
  protocol::RaiseEpochRequest claim = Raise(1, 1);
  claim.epoch = state_.epoch;
  claim.writer = state_.writer;
  claim.membership = *volume::FinishChange(WithSpare(state_.membership, own), own);
  rig_.segment().RaiseEpoch(claim, ReplyToken(9));
  rig_.Settle();
  rig_.Send(Batch({Redo(1, 0)}));
  rig_.Settle();
  ASSERT_THAT(rig_.acks, SizeIs(1));
  EXPECT_EQ(rig_.acks[0].ack.status.code(), absl::StatusCode::kNotFound);
}

// Seed 900351: a segment that had been left out learnt of a membership in which its slot was
// another node's, took that for its own, and was never dropped.
TEST_F(VolumeViewTest, ASlotThatIsAnotherNodesByNowDoesNotKeepASegmentFromBeingDropped) {
  const quorum::Slot own = state_.slot;
  const std::string node = state_.membership.members[own].node;
  volume::Membership next = state_.membership;
  next.members[own].node = "successor";
  next.epoch = next.epoch.Next();
  protocol::RaiseEpochRequest claim = Raise(1, 1);
  claim.epoch = state_.epoch;
  claim.writer = state_.writer;
  claim.membership = next;
  rig_.segment().RaiseEpoch(claim, ReplyToken(9));
  rig_.Settle();
  ASSERT_EQ(rig_.segment().state().membership, next);
  protocol::DropSegmentRequest drop{state_.segment, state_.epoch, state_.writer, next};
  EXPECT_OK(rig_.segment().CheckDrop(drop, node));
  EXPECT_THAT(rig_.segment().CheckDrop(drop, "successor"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  drop.membership.epoch = state_.membership.epoch;
  EXPECT_THAT(rig_.segment().CheckDrop(drop, node),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

// Seed 1012366: a late request drops what was made late for a member's former time in its slot.
// Once the segment was told that the slot is its own again it counts, and such a request is
// refused.
TEST_F(VolumeViewTest, WhatWasToldOfItsReturnIsNotDroppedByAMembershipInBetween) {
  const quorum::Slot own = state_.slot;
  const volume::Member member = state_.membership.members[own];
  const volume::Membership without = *volume::FinishChange(WithSpare(state_.membership, own), own);
  const quorum::Slot spare = *without.SlotOf("spare");
  const volume::Membership back = *volume::BeginChange(without, spare, member);
  ASSERT_EQ(back.SlotOf(member.node), own);
  const protocol::DropSegmentRequest drop{state_.segment, state_.epoch, state_.writer, without};
  EXPECT_OK(rig_.segment().CheckDrop(drop, member.node));
  protocol::RaiseEpochRequest claim = Raise(1, 1);
  claim.epoch = state_.epoch;
  claim.writer = state_.writer;
  claim.membership = back;
  rig_.segment().RaiseEpoch(claim, ReplyToken(9));  // not durable yet
  EXPECT_THAT(rig_.segment().CheckDrop(drop, member.node),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace sextant::storage
