// Source, replica and failover rules, one story each.
#include <gtest/gtest.h>

#include "common/testing/status_matchers.h"
#include "compute-node/binlog/replication/failover.h"
#include "compute-node/binlog/replication/pledge.h"
#include "compute-node/binlog/replication/replica_machine.h"
#include "compute-node/binlog/replication/source_machine.h"

namespace sextant::binlog {
namespace {

using ::sextant::testing::StatusIs;

constexpr SourceId kA{0xa}, kB{0xb};
const ReplicaCopy kOne{"one", ReplicaId(1)}, kTwo{"two", ReplicaId(2)};

Instant At(int ms) { return Instant::FromNanos(int64_t{ms} * 1'000'000); }
GtidSet History(uint64_t through, SourceId source = kA) {
  GtidSet set;
  if (through > 0) set.Add(source, {TxnSeq(1), TxnSeq(through)});
  return set;
}

TEST(SourceMachine, AsyncReleasesWhatIsSynced) {
  SourceMachine source({}, {}, kA);
  EXPECT_EQ(source.Append(), (Gtid{kA, TxnSeq(1)}));
  source.Append();
  EXPECT_EQ(source.TakeOutput().release_through, TxnSeq(0));
  source.Synced(TxnSeq(1), At(0));
  EXPECT_EQ(source.TakeOutput().release_through, TxnSeq(1));
  EXPECT_EQ(source.mode(), SyncMode::kAsync);
}

TEST(SourceMachine, SemiSyncWaitsForSoManyReplicas) {
  SourceMachine source({.acks = 2}, {}, kA);
  ASSERT_OK(source.Join(kOne, {}, At(0)).status());
  ASSERT_OK(source.Join(kTwo, {}, At(0)).status());
  for (int i = 0; i < 3; ++i) source.Append();
  source.Synced(TxnSeq(3), At(0));
  ASSERT_OK(source.Acked(kOne, TxnSeq(3), At(1)));
  ASSERT_OK(source.Acked(kOne, TxnSeq(3), At(1)));  // one replica, twice
  EXPECT_EQ(source.durable(), TxnSeq(0));
  ASSERT_OK(source.Acked(kTwo, TxnSeq(2), At(1)));
  EXPECT_EQ(source.TakeOutput().release_through, TxnSeq(2));
  source.Leave(kTwo);
  EXPECT_EQ(source.durable(), TxnSeq(2));
  source.Tick(At(1'000'000));  // no fall-back unless it is on
  EXPECT_EQ(source.durable(), TxnSeq(2));
  EXPECT_EQ(source.mode(), SyncMode::kSemiSync);
}

TEST(SourceMachine, FallBackIsAnnouncedAndEnds) {
  SourceMachine source({.acks = 1, .may_fall_back = true, .fall_back_after = absl::Seconds(1)}, {},
                       kA);
  source.Append();
  source.Synced(TxnSeq(1), At(0));
  source.Tick(At(999));
  EXPECT_EQ(source.durable(), TxnSeq(0));
  source.Tick(At(1000));
  const auto degraded = source.TakeOutput();
  EXPECT_EQ(degraded.announce, SyncMode::kDegraded);
  EXPECT_EQ(degraded.release_through, TxnSeq(1));
  source.Append();
  source.Synced(TxnSeq(2), At(1001));
  EXPECT_EQ(source.TakeOutput().release_through, TxnSeq(2));
  ASSERT_OK(source.Join(kOne, {}, At(1002)).status());
  ASSERT_OK(source.Acked(kOne, TxnSeq(1), At(1003)));
  EXPECT_EQ(source.mode(), SyncMode::kDegraded);
  ASSERT_OK(source.Acked(kOne, TxnSeq(2), At(1004)));
  EXPECT_EQ(source.TakeOutput().announce, SyncMode::kSemiSync);
  source.Append();
  source.Synced(TxnSeq(3), At(1005));
  EXPECT_EQ(source.TakeOutput().release_through, TxnSeq(2));  // waits again
}

TEST(SourceMachine, ReplicasOfAnotherHistoryAreTurnedAway) {
  SourceMachine source({}, History(5), kB);
  EXPECT_EQ(*source.Join(kOne, History(3), At(0)), TxnSeq(4));
  EXPECT_THAT(source.Join(kOne, History(6), At(0)),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(source.Join(kOne, History(2, kB), At(0)),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(source.Acked(kTwo, TxnSeq(1), At(0)), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(source.Acked(kOne, TxnSeq(6), At(0)), StatusIs(absl::StatusCode::kInvalidArgument));
  // Appended, not synced: nobody can hold it.
  source.Append();
  GtidSet too_early = History(5);
  too_early.Add({kB, TxnSeq(6)});
  EXPECT_THAT(source.Join(kTwo, too_early, At(0)), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(SourceMachine, AfterARestartAcknowledgementsComeBack) {
  SourceMachine source({.acks = 1}, History(5), kA);
  EXPECT_EQ(source.durable(), TxnSeq(0));
  ASSERT_OK(source.Join(kOne, History(4), At(0)).status());
  EXPECT_EQ(source.durable(), TxnSeq(4));
}

// A node that was seeded, or whose folder was lost, is another copy, and still one replica.
TEST(SourceMachine, ANodeIsCountedOnceWhateverFoldersItHasHad) {
  SourceMachine source({.acks = 2}, {}, kA);
  const ReplicaCopy seeded{kOne.node, ReplicaId(7)}, emptied{kOne.node, ReplicaId(8)};
  for (int i = 0; i < 5; ++i) source.Append();
  source.Synced(TxnSeq(5), At(0));
  ASSERT_OK(source.Join(kOne, History(2), At(0)).status());
  source.Leave(kOne);
  ASSERT_OK(source.Join(seeded, History(5), At(1)).status());
  EXPECT_EQ(source.durable(), TxnSeq(0));  // one node holds it, under its second id
  EXPECT_EQ(source.joined(), 1u);
  ASSERT_OK(source.Join(kTwo, History(3), At(2)).status());
  EXPECT_EQ(source.durable(), TxnSeq(3));
  // What the lost copy had acknowledged is nobody's, and nothing of it counts any more.
  ASSERT_OK(source.Join(emptied, {}, At(3)).status());
  ASSERT_OK(source.Acked(kTwo, TxnSeq(5), At(3)));
  EXPECT_EQ(source.followers()[0].acked, TxnSeq(0));
  EXPECT_EQ(source.durable(), TxnSeq(3));
  EXPECT_THAT(source.Acked(seeded, TxnSeq(5), At(4)),
              StatusIs(absl::StatusCode::kInvalidArgument));  // was under way
  source.Leave(seeded);  // its stream ends after the new one began
  ASSERT_OK(source.Acked(emptied, TxnSeq(4), At(5)));
  EXPECT_EQ(source.durable(), TxnSeq(4));
}

TEST(SourceMachine, ABrokenStreamThatEndsLateEndsNoOther) {
  SourceMachine source({.acks = 1}, History(2), kA);
  ASSERT_OK(source.Join(kOne, History(1), At(0)).status());
  ASSERT_OK(source.Join(kOne, History(1), At(1)).status());
  source.Leave(kOne);
  EXPECT_OK(source.Acked(kOne, TxnSeq(2), At(2)));
  source.Leave(kOne);
  EXPECT_EQ(source.joined(), 0u);
}

TEST(ReplicaMachine, ExactlyOnceInOrder) {
  ReplicaMachine replica({.max_batch = 2}, History(3), TxnSeq(1));
  replica.Connected();
  EXPECT_EQ(replica.TakeAck(), TxnSeq(3));  // what it holds is told to every source anew
  EXPECT_EQ(*replica.Arrived({kA, TxnSeq(3)}, 0), false);
  EXPECT_EQ(*replica.Arrived({kA, TxnSeq(4)}, 0), true);
  EXPECT_THAT(replica.Arrived({kA, TxnSeq(6)}, 0), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(replica.Arrived({kB, TxnSeq(2)}, 0), StatusIs(absl::StatusCode::kDataLoss));
  auto batch = replica.NextBatch();
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->first, TxnSeq(2));
  EXPECT_EQ(batch->last, TxnSeq(3));  // 4 is not synced yet
  EXPECT_EQ(replica.TakeAck(), std::nullopt);
  replica.RelaySynced(TxnSeq(4));
  EXPECT_EQ(replica.TakeAck(), TxnSeq(4));
  EXPECT_FALSE(replica.NextBatch().has_value());  // one at a time
  replica.Applied(TxnSeq(3), 0, 0);
  EXPECT_EQ(replica.NextBatch()->first, TxnSeq(4));
}

TEST(ReplicaMachine, LagIsUnknownWithoutASource) {
  ReplicaMachine replica({}, {}, TxnSeq(0));
  EXPECT_EQ(replica.Lag(1000), std::nullopt);
  replica.Connected();
  EXPECT_EQ(replica.Lag(1000), std::nullopt);  // nothing has come yet
  ASSERT_OK(replica.Arrived({kA, TxnSeq(1)}, 1000).status());
  EXPECT_EQ(replica.Lag(5000), absl::Microseconds(4000));
  replica.RelaySynced(TxnSeq(1));
  replica.NextBatch();
  replica.Applied(TxnSeq(1), 1000, 6000);
  EXPECT_EQ(replica.Lag(9'000'000), absl::Microseconds(5000));  // idle: as it was for the last one
  replica.SourceAt(TxnSeq(2));
  EXPECT_EQ(replica.Lag(9'001'000), absl::Microseconds(9'000'000));
  replica.Disconnected(At(10));
  EXPECT_EQ(replica.Lag(9'001'000), std::nullopt);
}

TEST(ReplicaMachine, ComesBackLaterAndLater) {
  ReplicaMachine replica(
      {.first_backoff = absl::Milliseconds(10), .longest_backoff = absl::Milliseconds(30)}, {},
      TxnSeq(0));
  EXPECT_EQ(replica.connect_at(), Instant::Min());
  int now = 0;
  for (const int wait : {10, 20, 30, 30}) {
    replica.Connected();
    EXPECT_EQ(replica.connect_at(), std::nullopt);
    replica.Disconnected(At(now));
    EXPECT_EQ(replica.connect_at(), At(now + wait));
    now += wait;
  }
}

TEST(Failover, TheMostAdvancedOneIsChosen) {
  FailoverQuestion question{
      .reachable = {{"r1", History(5)}, {"r2", History(7)}}, .replicas = 2, .acks = 1};
  auto choice = ChooseSource(question);
  ASSERT_OK(choice.status());
  EXPECT_EQ(choice->name, "r2");
  EXPECT_FALSE(choice->may_lose_acknowledged);
  question.wanted = "r1";  // 6 and 7 are on r2: one ack is enough for a client to know of them
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  question.acks = 2;  // on r2 alone they cannot have been acknowledged
  choice = ChooseSource(question);
  ASSERT_OK(choice.status());
  EXPECT_EQ(choice->must_rewind, std::vector<std::string>{"r2"});
  question.wanted = "r9";
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kNotFound));
}

TEST(Failover, WhoDoesNotAnswerMayHoldMore) {
  FailoverQuestion question{.reachable = {{"r1", History(5)}}, .replicas = 2, .acks = 1};
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  question.is_forced = true;
  EXPECT_TRUE(ChooseSource(question)->may_lose_acknowledged);
  question.is_forced = false;
  question.acks = 0;  // nothing was promised
  EXPECT_OK(ChooseSource(question).status());
  question.acks = 2;  // needs both: the one that answers has everything
  EXPECT_OK(ChooseSource(question).status());
}

// Its folder was lost or seeded anew, and what it has so far is not all that it had acknowledged.
TEST(Failover, AFolderThatHasNotCaughtUpCountsAsOneThatDoesNotAnswer) {
  FailoverQuestion question{
      .reachable = {{.name = "new", .is_whole = false}}, .replicas = 1, .acks = 1};
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  // Of two acknowledgements of what "all" holds one may have been the lost copy's.
  question = {.reachable = {{"new", History(1), 1, 1, false},
                            {"few", History(3), 1, 1},
                            {"all", History(5), 1, 1}},
              .replicas = 3,
              .acks = 2,
              .wanted = "few"};
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  question.wanted = "all";
  EXPECT_OK(ChooseSource(question).status());
  question.wanted = "few";
  question.reachable[0].is_whole = true;
  EXPECT_OK(ChooseSource(question).status());
}

TEST(Failover, WhatAnOldSourceHoldsBesideCountsForNothing) {
  GtidSet newer = History(3);
  newer.Add(kB, {TxnSeq(4), TxnSeq(6)});
  // The old source went through 9 on its own; r2 follows the newer one, which has died.
  FailoverQuestion question{
      .reachable = {{"old", History(9), 1, 1}, {"r2", newer, 2, 2}}, .replicas = 2, .acks = 1};
  auto choice = ChooseSource(question);
  ASSERT_OK(choice.status());
  EXPECT_EQ(choice->name, "r2");
  EXPECT_EQ(choice->must_rewind, std::vector<std::string>{"old"});
  question.wanted = "old";
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  question.acks = 0;  // not even where nothing was promised: it would undo a newer source's work
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  question.is_forced = true;
  EXPECT_OK(ChooseSource(question).status());
}

// It follows the newest source, and has received next to nothing of what that began with.
TEST(Failover, WhoOnlyBeganToFollowIsNotAheadOfWhoHoldsMore) {
  FailoverQuestion question{.reachable = {{"late", History(1), 2, 1}, {"old", History(4), 1, 1}},
                            .replicas = 2,
                            .acks = 1,
                            .wanted = "late"};
  EXPECT_THAT(ChooseSource(question), StatusIs(absl::StatusCode::kFailedPrecondition));
  question.wanted = "";
  EXPECT_EQ(ChooseSource(question)->name, "old");
}

// The story of a planned promotion: an acknowledgement that is under way when the replicas are
// counted is of what they hold, and after that there is none.
TEST(Pledge, WhatWasCountedDoesNotGrowWhileTheOldSourceLives) {
  SourceMachine source({.acks = 1}, {}, kA);
  ReplicaMachine replica({}, {}, TxnSeq(0));
  ASSERT_OK(source.Join(kOne, {}, At(0)).status());
  replica.Connected();
  for (uint64_t seq = 1; seq <= 2; ++seq) {
    source.Append();
    source.Synced(TxnSeq(seq), At(0));
  }
  ASSERT_EQ(*replica.Arrived({kA, TxnSeq(1)}, 0), true);
  replica.RelaySynced(TxnSeq(1));
  const std::optional<TxnSeq> under_way = replica.TakeAck();
  Pledges pledges;
  ASSERT_OK(CheckPledge(pledges, 1, {2, "candidate"}));
  Give({2, "candidate"}, &pledges);
  replica.Disconnected(At(1));
  const GtidSet counted = replica.received();
  EXPECT_EQ(*replica.Arrived({kA, TxnSeq(2)}, 0), false);  // was in the stream
  EXPECT_EQ(replica.TakeAck(), std::nullopt);
  EXPECT_FALSE(MayFollow(pledges, 1, "source"));
  ASSERT_OK(source.Acked(kOne, *under_way, At(2)));
  EXPECT_EQ(source.TakeOutput().release_through, counted.last());
}

TEST(Pledge, BindsUntilItsOwnCandidateGivesUp) {
  Pledges pledges;
  EXPECT_TRUE(MayFollow(pledges, 1, "s"));
  Give({2, "a"}, &pledges);
  EXPECT_FALSE(MayFollow(pledges, 1, "s"));
  EXPECT_TRUE(MayFollow(pledges, 2, "a"));
  EXPECT_FALSE(MayFollow(pledges, 2, "b"));  // drew the same number
  EXPECT_TRUE(MayFollow(pledges, 3, "b"));
  EXPECT_EQ(Awaited(pledges, 1), (Pledge{2, "a"}));
  EXPECT_EQ(Awaited(pledges, 2), std::nullopt);  // it came about, and is followed
  EXPECT_OK(CheckPledge(pledges, 1, {2, "a"}));  // asked again
  EXPECT_THAT(CheckPledge(pledges, 1, {2, "b"}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(CheckPledge(pledges, 3, {3, "b"}), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(CheckPledge(pledges, 1, {3, "b"}));
  Give({3, "b"}, &pledges);
  // That b gives up does not say that a did: it may lead by now.
  EXPECT_TRUE(IsGivenUp({3, "b"}, {.claim = 0, .tenure = 1}));
  pledges.binding.erase(3);
  EXPECT_FALSE(MayFollow(pledges, 1, "s"));
  EXPECT_FALSE(IsGivenUp({2, "a"}, {.claim = 2, .tenure = 1}));  // under way
  EXPECT_FALSE(IsGivenUp({2, "a"}, {.claim = 0, .tenure = 2}));  // it leads, or has led
  Followed(2, &pledges);
  EXPECT_TRUE(MayFollow(pledges, 2, "a"));
  EXPECT_FALSE(MayFollow(pledges, 2, "b"));
  Followed(4, &pledges);
  EXPECT_TRUE(pledges.binding.empty());
  EXPECT_EQ(pledges.highest, 3u);
}

TEST(Failover, HistoriesThatWentApartNeedAPerson) {
  GtidSet fork = History(3);
  fork.Add(kB, {TxnSeq(4), TxnSeq(9)});
  EXPECT_THAT(ChooseSource({.reachable = {{"r1", History(5)}, {"r2", fork}}, .replicas = 2}),
              StatusIs(absl::StatusCode::kDataLoss));
  const RewindPlan plan = PlanRewind(History(5), fork);
  EXPECT_EQ(plan.keep_through, TxnSeq(3));
  EXPECT_EQ(plan.undo_through, TxnSeq(5));
  EXPECT_TRUE(plan.is_needed());
  EXPECT_FALSE(PlanRewind(History(3), fork).is_needed());
}

}  // namespace
}  // namespace sextant::binlog
