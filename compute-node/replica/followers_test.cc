// What the writer sends each reader, and what readers hold.
#include "compute-node/replica/followers.h"

#include <gtest/gtest.h>

#include <optional>

namespace sextant::compute {
namespace {

class FollowersTest : public ::testing::Test {
 protected:
  static RedoFeedState Feed(uint64_t begin, uint64_t vdl, uint64_t head) {
    return {VolumeId(1), VolumeEpoch(4), Lsn(begin), Lsn(vdl), Lsn(head), 1};
  }
  // With no read point: one that has not been open yet.
  FollowerId Add(const std::string& node, uint64_t after, std::optional<uint64_t> lowest = {}) {
    const FollowerId id(++next_id_);
    const auto added = followers_.Add(id,
                                      {node, lowest ? VolumeId(1) : VolumeId(), VolumeEpoch(),
                                       Lsn(after), Lsn(lowest.value_or(0))},
                                      Feed(10, 20, 30), now_);
    EXPECT_TRUE(added.ok()) << added.status();
    return id;
  }
  // Sends what is planned, with all redo there is; the VDL announced.
  Lsn SendAll(FollowerId id, const RedoFeedState& feed) {
    const auto plan = followers_.Next(id, feed, now_);
    EXPECT_TRUE(plan.has_value());
    const Lsn announced = *followers_.Send(id, *plan, feed.head, std::nullopt, feed, now_);
    followers_.Sent(id);
    return announced;
  }

  uint64_t next_id_ = 0;
  Instant now_ = Instant() + absl::Seconds(1000);
  Followers followers_{{}};
};

TEST_F(FollowersTest, GoesOnWhereTheReaderIsIfTheRingReachesThatFar) {
  const FollowerId id = Add("reader-1", 15);
  const auto plan = followers_.Next(id, Feed(10, 20, 30), now_);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->starts);
  EXPECT_TRUE(plan->tells_shape);
  EXPECT_FALSE(plan->is_jump);
  EXPECT_EQ(plan->after, Lsn(15));
}

TEST_F(FollowersTest, OneThatFellOutOfTheRingJumpsToVdl) {
  const FollowerId fresh = Add("reader-1", 0);
  EXPECT_TRUE(followers_.Next(fresh, Feed(10, 20, 30), now_)->is_jump);
  const FollowerId slow = Add("reader-2", 15);
  SendAll(slow, Feed(10, 20, 30));
  EXPECT_FALSE(followers_.Status(Lsn(30), now_)[1].is_behind);
  EXPECT_TRUE(followers_.Status(Lsn(31), now_)[1].is_behind);
  const auto plan = followers_.Next(slow, Feed(31, 40, 50), now_);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->is_jump);
  EXPECT_EQ(plan->after, Lsn(40));
  EXPECT_EQ(plan->notified, Lsn(40));
  followers_.Send(slow, *plan, Lsn(50), std::nullopt, Feed(31, 40, 50), now_);
  EXPECT_EQ(followers_.Status(Lsn(31), now_)[1].jumps, 1u);
}

TEST_F(FollowersTest, OneThatHasNothingJumpsAlsoInAnEmptyVolume) {
  const FollowerId id = Add("reader-1", 0);
  EXPECT_TRUE(followers_.Next(id, Feed(0, 0, 0), now_)->is_jump);
  SendAll(id, Feed(0, 0, 0));
  const auto plan = followers_.Next(id, Feed(0, 0, 5), now_);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->is_jump);
}

TEST_F(FollowersTest, OneMessageIsInFlightAndNothingQueues) {
  const FollowerId id = Add("reader-1", 15);
  const auto plan = followers_.Next(id, Feed(10, 20, 30), now_);
  followers_.Send(id, *plan, Lsn(30), std::nullopt, Feed(10, 20, 30), now_);
  EXPECT_FALSE(followers_.Next(id, Feed(10, 35, 40), now_));
  EXPECT_TRUE(followers_.Idle().empty());
  followers_.Sent(id);
  const auto next = followers_.Next(id, Feed(10, 35, 40), now_);
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->starts);
  EXPECT_EQ(next->after, Lsn(30));
}

TEST_F(FollowersTest, VdlIsNeverAnnouncedAboveWhatWasSent) {
  const FollowerId id = Add("reader-1", 15);
  const auto plan = followers_.Next(id, Feed(10, 20, 30), now_);
  EXPECT_EQ(followers_.Send(id, *plan, Lsn(18), std::nullopt, Feed(10, 20, 30), now_), Lsn(18));
  followers_.Sent(id);
  EXPECT_EQ(SendAll(id, Feed(10, 20, 30)), Lsn(20));
  EXPECT_EQ(SendAll(id, Feed(10, 30, 30)), Lsn(30));
  EXPECT_FALSE(followers_.Next(id, Feed(10, 30, 30), now_));
}

TEST_F(FollowersTest, AnIdleStreamIsKeptAliveAndNewsOfTheShapeLeavesAtOnce) {
  const FollowerId id = Add("reader-1", 15);
  SendAll(id, Feed(10, 30, 30));
  EXPECT_FALSE(followers_.Next(id, Feed(10, 30, 30), now_));
  RedoFeedState grown = Feed(10, 30, 30);
  grown.shape = 2;
  EXPECT_TRUE(followers_.Next(id, grown, now_)->tells_shape);
  now_ = now_ + absl::Seconds(1);
  EXPECT_TRUE(followers_.Next(id, Feed(10, 30, 30), now_));
}

TEST_F(FollowersTest, WhatIsTooLargeToSendIsJumpedOverOnceItIsDurable) {
  const FollowerId id = Add("reader-1", 15);
  const auto plan = followers_.Next(id, Feed(10, 20, 30), now_);
  followers_.Send(id, *plan, Lsn(20), Lsn(30), Feed(10, 20, 30), now_);
  followers_.Sent(id);
  EXPECT_FALSE(followers_.Next(id, Feed(10, 20, 30), now_));
  EXPECT_FALSE(followers_.Next(id, Feed(10, 20, 35), now_));
  const auto jump = followers_.Next(id, Feed(10, 30, 35), now_);
  ASSERT_TRUE(jump);
  EXPECT_TRUE(jump->is_jump);
  EXPECT_EQ(jump->after, Lsn(30));
}

TEST_F(FollowersTest, ReadPointsHoldUntilTheReaderIsSilent) {
  EXPECT_EQ(followers_.LowestHold(), std::nullopt);
  const FollowerId a = Add("reader-1", 15, 12);
  const FollowerId b = Add("reader-2", 15, 15);
  EXPECT_EQ(followers_.LowestHold(), Lsn(12));
  followers_.Progressed(a, {Lsn(19), Lsn(20)}, now_);
  EXPECT_EQ(followers_.LowestHold(), Lsn(15));
  followers_.Remove(b);  // a lost connection alone frees nothing
  EXPECT_EQ(followers_.LowestHold(), Lsn(15));
  now_ = now_ + absl::Seconds(20);
  followers_.Progressed(a, {Lsn(19), Lsn(20)}, now_);
  now_ = now_ + absl::Seconds(11);
  EXPECT_EQ(followers_.Expire(now_), std::vector<std::string>{"reader-2"});
  EXPECT_EQ(followers_.LowestHold(), Lsn(19));
  now_ = now_ + absl::Seconds(20);
  EXPECT_EQ(followers_.Expire(now_), std::vector<std::string>{"reader-1"});
  EXPECT_EQ(followers_.LowestHold(), std::nullopt);
  followers_.Progressed(a, {Lsn(19), Lsn(20)}, now_);  // it was paused
  EXPECT_EQ(followers_.LowestHold(), Lsn(19));
}

// Seed 901148: a reader that was at LSN 0 lost its stream, and its hold with the next one.
TEST_F(FollowersTest, OneThatReadsAnEmptyVolumeHoldsItAcrossStreams) {
  const FollowerId first = Add("reader-1", 0);
  EXPECT_EQ(followers_.LowestHold(), std::nullopt);
  followers_.Progressed(first, {Lsn(), Lsn()}, now_);
  EXPECT_EQ(followers_.LowestHold(), Lsn());
  Add("reader-1", 0, /*lowest=*/0);
  EXPECT_EQ(followers_.LowestHold(), Lsn());
}

TEST_F(FollowersTest, ANewStreamOfAReaderTakesTheOldOnesPlace) {
  const FollowerId old = Add("reader-1", 15, 12);
  const FollowerId id(++next_id_);
  const auto added = followers_.Add(id, {"reader-1", VolumeId(1), VolumeEpoch(4), Lsn(20), Lsn(20)},
                                    Feed(10, 20, 30), now_);
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(*added, old);
  followers_.Remove(old);  // late
  EXPECT_TRUE(followers_.Next(id, Feed(10, 20, 30), now_));
  EXPECT_EQ(followers_.LowestHold(), Lsn(20));
}

TEST_F(FollowersTest, RefusesWhoeverFollowedANewerWriterAndTheSixteenth) {
  const auto refused = [&](const protocol::FollowHello& hello) {
    return followers_.Add(FollowerId(++next_id_), hello, Feed(10, 20, 30), now_).status().code();
  };
  EXPECT_EQ(refused({"r", VolumeId(1), VolumeEpoch(5), Lsn(20), Lsn(20)}),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused({"r", VolumeId(2), VolumeEpoch(4), Lsn(20), Lsn(20)}),
            absl::StatusCode::kFailedPrecondition);
  for (int i = 0; i < 15; ++i) Add("reader-" + std::to_string(i), 15);
  EXPECT_EQ(refused({"r", VolumeId(1), VolumeEpoch(4), Lsn(20), Lsn(20)}),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace sextant::compute
