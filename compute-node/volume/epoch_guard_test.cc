// EpochGuard: what is released by which answers, how rounds are shared, and the writer around it.
#include "compute-node/volume/epoch_guard.h"

#include "compute-node/volume/writer_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using quorum::QuorumSets;
using quorum::SlotSet;
using testing::At;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kTestEpoch;
using testing::kTestVolume;
using testing::Ready;
using testing::WriterRig;

constexpr SlotSet kAll{0, 1, 2, 3, 4, 5};

Instant Ms(int64_t ms) { return Instant::FromNanos(ms * 1'000'000); }

class EpochGuardTest : public ::testing::Test {
 protected:
  void Park(uint64_t token, int64_t deadline_ms = 1000) {
    ASSERT_TRUE(guard_.Park(WaitToken(token), Ms(deadline_ms)).ok());
  }
  void Answer(std::initializer_list<int> slots, uint64_t round, VolumeEpoch epoch = kTestEpoch) {
    for (int slot : slots) {
      guard_.Answered(static_cast<quorum::Slot>(slot), {.round = round, .epoch = epoch},
                      &released_);
    }
  }
  // Tokens released with `code` since the last call; the others are an error.
  std::vector<uint64_t> Released(absl::StatusCode code = absl::StatusCode::kOk) {
    std::vector<uint64_t> tokens;
    for (const WaitRelease& release : std::exchange(released_, {})) {
      EXPECT_EQ(release.status.code(), code) << release.status;
      tokens.push_back(release.wait.value());
    }
    return tokens;
  }

  EpochGuard guard_{kTestEpoch, QuorumSets(), 5};
  std::vector<WaitRelease> released_;
};

TEST_F(EpochGuardTest, AReadQuorumOfThisEpochReleases) {
  EXPECT_EQ(guard_.TakeProbes(), SlotSet());
  Park(1);
  EXPECT_EQ(guard_.TakeProbes(), kAll);
  EXPECT_EQ(guard_.TakeProbes(), SlotSet()) << "each is asked once";
  Answer({4, 4, 0}, guard_.round());
  EXPECT_THAT(Released(), IsEmpty()) << "two members";
  Answer({2}, guard_.round());
  EXPECT_THAT(Released(), ElementsAre(1));
  EXPECT_EQ(guard_.TakeProbes(), SlotSet()) << "nobody asks, so nobody is asked";
  EXPECT_EQ(guard_.size(), 0u);
}

TEST_F(EpochGuardTest, ARequestIsProvenByARoundThatBeganAfterIt) {
  const uint64_t first = guard_.Request();
  EXPECT_EQ(guard_.TakeProbes(), kAll) << "nobody else waits";
  const uint64_t second = guard_.Request();
  EXPECT_LT(guard_.proven(), first);
  Answer({0, 1, 2}, guard_.round());
  EXPECT_EQ(guard_.proven(), first);
  EXPECT_EQ(guard_.TakeProbes(), kAll) << "the next round";
  Park(1, /*deadline_ms=*/10);
  guard_.Expire(Ms(20), &released_);
  EXPECT_THAT(Released(absl::StatusCode::kDeadlineExceeded), ElementsAre(1));
  Answer({0, 1, 2}, guard_.round());
  EXPECT_EQ(guard_.proven(), second);
  EXPECT_EQ(guard_.TakeProbes(), SlotSet());
}

TEST_F(EpochGuardTest, WhatComesDuringARoundWaitsForTheNextAndSharesIt) {
  Park(1);
  const uint64_t first = guard_.round();
  guard_.TakeProbes();
  Answer({0, 1}, first);
  Park(2);
  Park(3);
  EXPECT_EQ(guard_.round(), first) << "one round at a time";
  EXPECT_EQ(guard_.TakeProbes(), SlotSet());
  Answer({2}, first);
  EXPECT_THAT(Released(), ElementsAre(1));
  EXPECT_EQ(guard_.TakeProbes(), kAll) << "the next begins at once";
  Answer({3, 4, 5}, first);
  EXPECT_THAT(Released(), IsEmpty()) << "answers to probes that were sent before 2 and 3 asked";
  Answer({3, 4, 5}, guard_.round());
  EXPECT_THAT(Released(), ElementsAre(2, 3));
}

TEST_F(EpochGuardTest, OtherEpochsAndOtherSlotsCountForNothing) {
  Park(1);
  Answer({0, 1, 2}, guard_.round(), VolumeEpoch(kTestEpoch.value() - 1));
  Answer({0, 1, 2}, guard_.round(), VolumeEpoch(0));
  Answer({6, 7}, guard_.round());
  Answer({0, 1}, guard_.round());
  EXPECT_THAT(Released(), IsEmpty());
  Answer({2}, guard_.round() + 1);
  EXPECT_THAT(Released(), IsEmpty());
}

TEST_F(EpochGuardTest, DeadlinesEndWaitsAndTheNextAreAskedAnew) {
  Park(1, 100);
  Park(2, 50);
  Park(3, 1000);
  const uint64_t round = guard_.round();
  guard_.TakeProbes();
  Answer({0, 1}, round);
  guard_.Expire(Ms(49), &released_);
  EXPECT_THAT(Released(), IsEmpty());
  guard_.Expire(Ms(50), &released_);
  EXPECT_THAT(Released(absl::StatusCode::kDeadlineExceeded), ElementsAre(2));
  guard_.Expire(Ms(100), &released_);
  EXPECT_THAT(Released(absl::StatusCode::kDeadlineExceeded), ElementsAre(1));
  EXPECT_EQ(guard_.TakeProbes(), kAll) << "the round was for 1 alone; 3 has one of its own";
  Answer({2}, round);
  EXPECT_THAT(Released(), IsEmpty()) << "of the round before";
  Answer({0, 1, 2}, guard_.round());
  EXPECT_THAT(Released(), ElementsAre(3));
  guard_.Expire(Ms(5000), &released_);
  EXPECT_THAT(Released(), IsEmpty());
}

TEST_F(EpochGuardTest, AMemberThatComesBackIsAskedAgain) {
  guard_.AskAgain(0);
  EXPECT_EQ(guard_.TakeProbes(), SlotSet()) << "no round";
  Park(1);
  guard_.TakeProbes();
  Answer({0}, guard_.round());
  guard_.AskAgain(0);
  guard_.AskAgain(1);
  guard_.AskAgain(7);
  EXPECT_EQ(guard_.TakeProbes(), SlotSet{1});
}

TEST_F(EpochGuardTest, AFullQueueRefuses) {
  for (uint64_t token = 1; token <= 5; ++token) Park(token);
  EXPECT_EQ(guard_.Park(WaitToken(6), Ms(1)).code(), absl::StatusCode::kResourceExhausted);
  guard_.ReleaseAll(absl::FailedPreconditionError("over"), &released_);
  EXPECT_THAT(Released(absl::StatusCode::kFailedPrecondition), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(guard_.TakeProbes(), SlotSet());
}

TEST_F(EpochGuardTest, ChangedSetsStartTheRoundOver) {
  Park(1);
  guard_.TakeProbes();
  const uint64_t round = guard_.round();
  Answer({4, 5}, round);
  guard_.SetSets(QuorumSets({{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 6}}));
  SlotSet seven = kAll;
  seven.Insert(6);
  EXPECT_EQ(guard_.TakeProbes(), seven);
  Answer({0}, round);
  EXPECT_THAT(Released(), IsEmpty());
  Answer({5, 0, 1}, guard_.round());
  EXPECT_THAT(Released(), IsEmpty()) << "two of the second set";
  Answer({6}, guard_.round());
  EXPECT_THAT(Released(), ElementsAre(1)) << "three of either";
}

// --- the writer around it

class GuardedWriterTest : public ::testing::Test {
 protected:
  void Ask(uint64_t token) {
    rig_.writer.WhenCurrent(WaitToken(token), Ms(1000));
    Take();
  }
  void Take() {
    WriterOutput out = rig_.writer.TakeOutput();
    for (const auto& probe : out.probes) probes_.push_back(probe);
    for (auto& release : out.releases) rig_.releases.push_back(std::move(release));
  }
  void Answer(MemberAddress member, uint64_t round, VolumeEpoch epoch = kTestEpoch) {
    rig_.writer.EpochAnswered(member, {.segment = {kTestVolume, member.pg},
                                       .incarnation = Ready(member, 0).incarnation,
                                       .round = round,
                                       .epoch = epoch});
    Take();
  }
  // The last one that members were asked in.
  uint64_t Round() const { return rig_.writer.counters().proof_rounds; }
  std::vector<int> Probed() {
    std::vector<int> slots;
    for (const auto& probe : std::exchange(probes_, {})) {
      EXPECT_EQ(probe.member.pg, kGuardPg);
      EXPECT_EQ(probe.probe.segment, (SegmentId{kTestVolume, kGuardPg}));
      slots.push_back(probe.member.slot);
    }
    return slots;
  }
  std::vector<WaitRelease> Releases() { return std::exchange(rig_.releases, {}); }

  WriterRig rig_;
  std::vector<WriterOutput::Probe> probes_;
};

TEST_F(GuardedWriterTest, AsksGroupZeroAndReleases) {
  rig_.AllUp();
  Ask(1);
  EXPECT_THAT(Probed(), ElementsAre(0, 1, 2, 3, 4, 5));
  for (int slot : {1, 3, 5}) Answer(At(0, slot), Round());
  const auto released = Releases();
  ASSERT_EQ(released.size(), 1u);
  EXPECT_TRUE(released[0].status.ok());
}

TEST_F(GuardedWriterTest, MembersThatAreDownAreAskedWhenTheyComeBack) {
  for (int slot : {0, 1}) rig_.writer.MemberUp(At(0, slot), Ready(At(0, slot), 40));
  Ask(1);
  EXPECT_THAT(Probed(), ElementsAre(0, 1));
  Answer(At(0, 0), Round());
  rig_.writer.MemberDown(At(0, 1));
  Answer(At(0, 1), Round());
  Answer(At(0, 2), Round());
  Answer(At(0, 3), Round());
  EXPECT_THAT(Releases(), IsEmpty()) << "not connected, so nobody knows who they are";
  for (int slot : {0, 1, 2}) rig_.writer.MemberUp(At(0, slot), Ready(At(0, slot), 40));
  Take();
  EXPECT_THAT(Probed(), ElementsAre(1, 2));
  for (int slot : {1, 2}) Answer(At(0, slot), Round());
  EXPECT_EQ(Releases().size(), 1u);
}

TEST_F(GuardedWriterTest, AMemberThatLostWhatItHeldProvesNothing) {
  rig_.AllUp();
  rig_.Append({1});
  rig_.AckBy(0, {0, 1, 2, 3}, 101);
  rig_.writer.MemberDown(At(0, 0));
  rig_.writer.MemberUp(At(0, 0), Ready(At(0, 0), 40));  // it had acknowledged 101
  Ask(1);
  EXPECT_THAT(Probed(), ElementsAre(1, 2, 3, 4, 5));
  for (int slot : {0, 1, 2}) Answer(At(0, slot), Round());
  EXPECT_THAT(Releases(), IsEmpty());
}

TEST_F(GuardedWriterTest, ANewerEpochFencesForGood) {
  rig_.AllUp();
  const Lsn lsn = rig_.Append({1});
  rig_.writer.WaitDurable(lsn, WaitToken(7), Ms(1000));
  Ask(1);
  Ask(2);
  Answer(At(0, 3), Round(), VolumeEpoch(kTestEpoch.value() + 1));
  EXPECT_TRUE(rig_.writer.is_fenced());
  const auto released = Releases();
  ASSERT_EQ(released.size(), 3u);
  for (const WaitRelease& release : released) {
    EXPECT_EQ(release.status.code(), absl::StatusCode::kFailedPrecondition);
  }
  Probed();
  Ask(3);
  EXPECT_EQ(Releases().at(0).status.code(), absl::StatusCode::kFailedPrecondition);
  for (int slot = 0; slot < 6; ++slot) Answer(At(0, slot), Round());
  EXPECT_THAT(Releases(), IsEmpty());
  EXPECT_THAT(Probed(), IsEmpty());
}

TEST_F(GuardedWriterTest, ARefusedReadFences) {
  rig_.AllUp();
  Ask(1);
  rig_.writer.ReadFenced();
  Take();
  EXPECT_EQ(Releases().at(0).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rig_.writer.CheckAppend(1, {PageNo(0)}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(GuardedWriterTest, AnswersOfOtherVolumesAreIgnored) {
  rig_.AllUp();
  Ask(1);
  rig_.writer.EpochAnswered(At(0, 0), {.segment = {VolumeId(99), PgId(0)},
                                       .round = Round(),
                                       .epoch = VolumeEpoch(kTestEpoch.value() + 1)});
  EXPECT_FALSE(rig_.writer.is_fenced());
}

TEST_F(GuardedWriterTest, AnswersOfFormerSegmentsProveNothing) {
  rig_.AllUp();
  Ask(1);
  const auto answer = [&](int slot, IncarnationId incarnation) {
    rig_.writer.EpochAnswered(At(0, slot), {.segment = {kTestVolume, kGuardPg},
                                            .incarnation = incarnation,
                                            .round = Round(),
                                            .epoch = kTestEpoch});
    Take();
  };
  for (int slot : {0, 1, 2}) answer(slot, IncarnationId(99));
  EXPECT_TRUE(Releases().empty());
  for (int slot : {0, 1, 2}) answer(slot, Ready(At(0, slot), 0).incarnation);
  EXPECT_EQ(Releases().size(), 1u);
}

TEST_F(GuardedWriterTest, TheDeadlineIsKept) {
  rig_.AllUp();
  Ask(1);
  rig_.Tick(999);
  EXPECT_THAT(Releases(), IsEmpty());
  rig_.Tick(1000);
  EXPECT_EQ(Releases().at(0).status.code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace sextant::compute
