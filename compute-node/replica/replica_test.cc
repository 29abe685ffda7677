// What a reader makes of the redo stream: whole mini-transactions at VDL, never back.
#include "compute-node/replica/replica.h"

#include <gtest/gtest.h>

#include "common/protocol/mtr_codec.h"

namespace sextant::compute {
namespace {

using protocol::FollowDurable;
using protocol::FollowMessage;
using protocol::FollowStart;

class ReplicaTest : public ::testing::Test {
 protected:
  static protocol::VolumeShape Shape(uint32_t groups) {
    protocol::VolumeShape shape;
    shape.descriptor = {VolumeId(7), {.page_bytes = 512, .pages_per_pg = 10, .pg_count = groups}};
    shape.memberships.resize(groups);
    return shape;
  }
  static FollowMessage Jump(uint64_t epoch, uint64_t vdl, uint32_t groups = 2) {
    FollowMessage message;
    message.start = FollowStart{.epoch = VolumeEpoch(epoch),
                                .is_jump = true,
                                .after = Lsn(vdl),
                                .tails = std::vector<Lsn>(groups, Lsn(vdl)),
                                .history = {{Lsn(vdl), 1000}}};
    message.shape = Shape(groups);
    return message;
  }
  // One record for each of `pages`.
  static std::string Mtr(uint64_t prev, uint64_t first, std::vector<uint64_t> pages) {
    protocol::RedoMtr mtr{Lsn(prev), Lsn(first), Lsn(first + pages.size() - 1)};
    for (uint64_t page : pages) mtr.changes.push_back({PageNo(page), Lsn(0), false, "x"});
    std::string out;
    protocol::EncodeMtr(mtr, false, &out);
    return out;
  }
  static FollowMessage Redo(std::string mtrs) { return {.mtrs = std::move(mtrs)}; }
  static FollowMessage Durable(uint64_t vdl, std::vector<protocol::DurableStep> steps = {}) {
    return {.durable = FollowDurable{Lsn(vdl), Lsn(0), std::move(steps)}};
  }
  Replica::Step Take(FollowMessage message) {
    auto step = replica_.Take(std::move(message));
    EXPECT_TRUE(step.ok()) << step.status();
    return step.ok() ? *std::move(step) : Replica::Step{};
  }
  absl::StatusCode Refusal(FollowMessage message) {
    return replica_.Take(std::move(message)).status().code();
  }
  void Open() {
    replica_.Begin(Lsn(0));
    Take(Jump(3, 100));
  }

  Replica replica_{"reader-1", {}};
};

TEST_F(ReplicaTest, BeginsWithAJump) {
  EXPECT_EQ(replica_.Begin(Lsn(0)).after, Lsn(0));
  EXPECT_FALSE(replica_.is_open());
  const Replica::Step step = Take(Jump(3, 100));
  EXPECT_TRUE(step.is_jump);
  EXPECT_TRUE(step.has_new_shape);
  EXPECT_EQ(step.publish, Lsn(100));
  EXPECT_EQ(replica_.counters().jumps, 0u);  // nothing was lost
  EXPECT_EQ(*replica_.times().AtLsn(Lsn(100)), Lsn(100));
}

TEST_F(ReplicaTest, NothingIsAppliedBeforeVdlAndThenWholeMtrs) {
  Open();
  Replica::Step step = Take(Redo(Mtr(100, 101, {1, 11}) + Mtr(102, 103, {2})));
  EXPECT_TRUE(step.apply.empty());
  EXPECT_EQ(step.publish, Lsn(100));
  EXPECT_GT(replica_.pending_bytes(), 0u);
  step = Take(Durable(102, {{Lsn(102), 5000}}));
  ASSERT_EQ(step.apply.size(), 1u);
  EXPECT_EQ(step.apply[0]->commit_lsn, Lsn(102));
  EXPECT_EQ(step.publish, Lsn(102));
  EXPECT_EQ(replica_.tails(), (std::vector<Lsn>{Lsn(101), Lsn(102)}));
  step = Take(Durable(103, {{Lsn(103), 6000}}));
  EXPECT_EQ(replica_.tails(), (std::vector<Lsn>{Lsn(103), Lsn(102)}));
  EXPECT_EQ(replica_.pending_bytes(), 0u);
  EXPECT_EQ(*replica_.times().AtTime(5500), Lsn(102));
}

TEST_F(ReplicaTest, ACommitGetsTheTimeOfTheStepThatMadeItDurable) {
  Open();
  Take(Redo(Mtr(100, 101, {1}) + Mtr(101, 102, {1}) + Mtr(102, 103, {1})));
  Take(Durable(103, {{Lsn(102), 5000}, {Lsn(103), 6000}}));
  EXPECT_EQ(*replica_.times().AtTime(4999), Lsn(100));
  EXPECT_EQ(*replica_.times().AtTime(5000), Lsn(102));
  EXPECT_EQ(*replica_.times().AtLsn(Lsn(101)), Lsn(101));
}

TEST_F(ReplicaTest, AVdlWithinAMiniTransactionOrAheadOfRedoIsRefused) {
  Open();
  Take(Redo(Mtr(100, 101, {1, 2, 3})));
  EXPECT_EQ(Refusal(Durable(102)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(Durable(104)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(Durable(99)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(replica_.published(), Lsn(100));
  EXPECT_EQ(Take(Durable(103)).publish, Lsn(103));
}

TEST_F(ReplicaTest, AGapOrDamageEndsTheStreamAndTheNextOneJumps) {
  Open();
  EXPECT_EQ(Refusal(Redo(Mtr(101, 102, {1}))), absl::StatusCode::kDataLoss);
  EXPECT_EQ(replica_.Begin(Lsn(90)).after, Lsn(0));
  Take(Jump(3, 105));
  std::string damaged = Mtr(105, 106, {1});
  damaged.back() ^= 1;
  EXPECT_EQ(Refusal(Redo(damaged)), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Refusal(Redo(Mtr(105, 106, {20}))), absl::StatusCode::kDataLoss);  // beyond the end
  EXPECT_EQ(replica_.published(), Lsn(105));
}

// A message that jumps and is damaged further on must not count as the jump alone: what is cached
// would be believed to hold at the VDL jumped to.
TEST_F(ReplicaTest, NothingIsTakenOfAMessageThatIsRefused) {
  Open();
  FollowMessage message = Jump(3, 200, 3);
  message.mtrs = Mtr(201, 202, {1});
  EXPECT_EQ(Refusal(message), absl::StatusCode::kDataLoss);
  EXPECT_EQ(replica_.published(), Lsn(100));
  EXPECT_EQ(replica_.shape().memberships.size(), 2u);
  const Replica::Step step = Take(Jump(3, 300, 3));
  EXPECT_EQ(step.published_before, Lsn(100));
}

TEST_F(ReplicaTest, WhatAnEarlierStreamSentIsForgotten) {
  Open();
  Take(Redo(Mtr(100, 101, {1})));
  const auto hello = replica_.Begin(Lsn(99));
  EXPECT_EQ(hello.after, Lsn(100));
  EXPECT_EQ(hello.epoch, VolumeEpoch(3));
  EXPECT_EQ(hello.lowest_read_point, Lsn(99));
  EXPECT_EQ(replica_.pending_bytes(), 0u);
  EXPECT_EQ(Refusal(Durable(100)), absl::StatusCode::kInvalidArgument);  // it has not begun
  FollowMessage start;
  start.start = FollowStart{.epoch = VolumeEpoch(4), .after = Lsn(100)};
  replica_.Begin(Lsn(99));
  Replica::Step step = Take(start);
  EXPECT_FALSE(step.is_jump);
  // The new writer's LSNs begin above its truncation: another record 101 never comes.
  Take(Redo(Mtr(100, 5000, {2})));
  step = Take(Durable(5000));
  ASSERT_EQ(step.apply.size(), 1u);
  EXPECT_EQ(step.publish, Lsn(5000));
  EXPECT_EQ(*replica_.times().AtLsn(Lsn(4000)), Lsn(100));
}

TEST_F(ReplicaTest, AnOlderWriterIsLeftAndVdlNeverFalls) {
  Open();
  replica_.Begin(Lsn(0));
  EXPECT_EQ(Refusal(Jump(2, 150)), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Refusal(Jump(3, 99)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(replica_.published(), Lsn(100));
  EXPECT_EQ(replica_.epoch(), VolumeEpoch(3));
}

TEST_F(ReplicaTest, AJumpBringsTheNewestCommits) {
  Open();
  FollowMessage jump = Jump(3, 200);
  jump.start->history = {{Lsn(150), 10}, {Lsn(180), 20}, {Lsn(200), 30}};
  Take(jump);
  EXPECT_EQ(*replica_.times().AtLsn(Lsn(190)), Lsn(180));
  EXPECT_EQ(*replica_.times().AtTime(15), Lsn(150));
  jump = Jump(3, 300);
  for (const std::vector<protocol::DurableStep>& history :
       {std::vector<protocol::DurableStep>{},
        {{Lsn(250), 1}, {Lsn(299), 2}},
        {{Lsn(250), 1}, {Lsn(250), 2}, {Lsn(300), 3}}}) {
    jump.start->history = history;
    EXPECT_EQ(Refusal(jump), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(ReplicaTest, AJumpForgetsWhichCommitsThereWere) {
  Open();
  Take(Redo(Mtr(100, 101, {1})));
  Take(Durable(101));
  const Replica::Step step = Take(Jump(3, 200));
  EXPECT_TRUE(step.is_jump);
  EXPECT_EQ(step.published_before, Lsn(101));
  EXPECT_EQ(replica_.counters().jumps, 1u);
  EXPECT_EQ(replica_.times().AtLsn(Lsn(150)).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(ReplicaTest, GroupsAreAddedAndNeverLost) {
  Open();
  FollowMessage grown;
  grown.shape = Shape(3);
  grown.mtrs = Mtr(100, 101, {29});
  EXPECT_TRUE(Take(grown).has_new_shape);
  Take(Durable(101));
  EXPECT_EQ(replica_.tails(), (std::vector<Lsn>{Lsn(100), Lsn(100), Lsn(101)}));
  EXPECT_EQ(Refusal({.shape = Shape(2)}), absl::StatusCode::kInvalidArgument);
  protocol::VolumeShape other = Shape(3);
  other.descriptor.volume = VolumeId(8);
  EXPECT_EQ(Refusal({.shape = other}), absl::StatusCode::kInvalidArgument);
}

TEST_F(ReplicaTest, WhatWaitsForItsVdlIsBounded) {
  Replica replica("reader-1", {.max_pending_bytes = 1000});
  replica.Begin(Lsn(0));
  ASSERT_TRUE(replica.Take(Jump(3, 100)).ok());
  absl::Status last;
  for (uint64_t lsn = 101; lsn < 200 && last.ok(); ++lsn) {
    last = replica.Take(Redo(Mtr(lsn - 1, lsn, {1}))).status();
    EXPECT_LE(replica.pending_bytes(), 1000u);
  }
  EXPECT_EQ(last.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(replica.Begin(Lsn(0)).after, Lsn(0));
}

}  // namespace
}  // namespace sextant::compute
