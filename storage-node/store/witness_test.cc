// Reconciling the database with the witness: which side stands, and what counts as lost.
#include "storage-node/store/witness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sextant::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr SegmentId kA{VolumeId(7), PgId(0)}, kB{VolumeId(7), PgId(1)};

SegmentState State(SegmentId segment, uint64_t epoch, uint64_t incarnation = 1) {
  SegmentState state{.segment = segment, .incarnation = IncarnationId(incarnation)};
  state.descriptor.volume = segment.volume;
  state.epoch = VolumeEpoch(epoch);
  return state;
}

LogHighWater Mark(SegmentId segment, uint64_t position) {
  return {segment, LogPosition(position), Lsn(position * 10)};
}

// What both sides hold after the same writes.
class WitnessTest : public ::testing::Test {
 protected:
  void Both(const StoreWrite& write) {
    DatabaseOnly(write);
    witness_.Apply(write);
  }
  void DatabaseOnly(const StoreWrite& write) { shadow_.Apply(write); }
  DatabaseContents Database() const { return {shadow_.version, shadow_.states, shadow_.marks}; }
  Reconciled Run() { return *Reconcile(Database(), witness_); }

  Witness shadow_;  // the database's contents have the same parts
  Witness witness_;
};

TEST_F(WitnessTest, SurvivesItsEncoding) {
  Both({.high_water = {Mark(kA, 5)}, .states = {State(kA, 3), State(kB, 4)}});
  witness_.sequence = 9;
  const std::string bytes = EncodeWitness(witness_);
  const auto decoded = DecodeWitness(bytes + "what a longer one left behind");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->sequence, 9u);
  EXPECT_EQ(decoded->version, 1u);
  EXPECT_EQ(decoded->states, witness_.states);
  EXPECT_EQ(decoded->marks, witness_.marks);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeWitness(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_FALSE(DecodeWitness(damaged).ok()) << at;
  }
}

TEST_F(WitnessTest, TwoThatAgreeNeedNothing) {
  Both({.high_water = {Mark(kA, 5)}, .states = {State(kA, 3)}});
  const Reconciled result = Run();
  EXPECT_FALSE(result.is_database_behind);
  EXPECT_THAT(result.losses, IsEmpty());
  EXPECT_EQ(result.contents.states, witness_.states);
}

TEST_F(WitnessTest, AWitnessThatLagsChangesNothing) {
  Both({.states = {State(kA, 3), State(kB, 3)}});
  Both({.high_water = {Mark(kA, 5), Mark(kB, 50)}});
  DatabaseOnly({.high_water = {Mark(kA, 8)}});
  DatabaseOnly({.high_water = {Mark(kB, 2)},  // begun anew: its old mark says nothing
                .states = {State(kA, 4), State(kB, 1, /*incarnation=*/2)},
                .dropped_segments = {kB}});
  const Reconciled result = Run();
  EXPECT_FALSE(result.is_database_behind);
  EXPECT_THAT(result.losses, IsEmpty());
  EXPECT_EQ(result.contents.marks.at(kA), Mark(kA, 8));
  EXPECT_EQ(result.contents.marks.at(kB), Mark(kB, 2));
  EXPECT_EQ(result.contents.states.at(kA).epoch, VolumeEpoch(4));
}

TEST_F(WitnessTest, ALostEndIsToldByTheMark) {
  Both({.high_water = {Mark(kA, 5)}, .states = {State(kA, 3)}});
  witness_.Apply({.high_water = {Mark(kA, 9)}});
  const Reconciled result = Run();
  EXPECT_TRUE(result.is_database_behind);
  EXPECT_EQ(result.losses.size(), 1u);
  EXPECT_EQ(result.contents.marks.at(kA), Mark(kA, 9));
}

TEST_F(WitnessTest, APromiseStandsIfOnlyTheWitnessRemembersIt) {
  Both({.high_water = {Mark(kA, 5), Mark(kB, 5)}, .states = {State(kA, 3), State(kB, 3)}});
  witness_.Apply({.states = {State(kA, 4)}, .dropped_segments = {kB}});
  const Reconciled result = Run();
  EXPECT_EQ(result.contents.states.at(kA).epoch, VolumeEpoch(4));
  EXPECT_FALSE(result.contents.states.contains(kB));
  EXPECT_FALSE(result.contents.marks.contains(kB));
  EXPECT_THAT(result.dropped_segments, ElementsAre(kB));
  EXPECT_EQ(result.contents.version, witness_.version);
}

TEST_F(WitnessTest, WhatRemainsOfADroppedSegmentStandsIfOnlyTheWitnessRemembersIt) {
  Both({.high_water = {Mark(kB, 5)}, .states = {State(kB, 3)}});
  SegmentState remains = State(kB, 4);
  remains.is_dropped = true;
  witness_.Apply({.dropped_segments = {kB}, .remains = {remains}});
  const Reconciled behind = Run();
  EXPECT_TRUE(behind.is_database_behind);
  EXPECT_EQ(behind.contents.states.at(kB), remains);
  EXPECT_THAT(behind.contents.marks, IsEmpty());
  EXPECT_THAT(behind.dropped_segments, ElementsAre(kB));

  DatabaseOnly({.dropped_segments = {kB}, .remains = {remains}});
  const Reconciled even = Run();
  EXPECT_FALSE(even.is_database_behind);
  EXPECT_THAT(even.dropped_segments, IsEmpty());
  EXPECT_THAT(Reconcile(Database(), absl::DataLossError("both"))->contents.marks, IsEmpty());
}

TEST_F(WitnessTest, WithoutWitnessLogsAreDamagedForGood) {
  Both({.high_water = {Mark(kA, 5)}, .states = {State(kA, 3), State(kB, 3)}});
  const auto result = Reconcile(Database(), absl::DataLossError("both"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->contents.marks.at(kA).last_position, LogPosition(5));
  EXPECT_EQ(result->contents.marks.at(kA).scl, kUnknownScl);
  EXPECT_EQ(result->contents.marks.at(kB).scl, kUnknownScl);
  EXPECT_EQ(result->contents.states, shadow_.states);
}

TEST_F(WitnessTest, DamagedStatesAndMarksInTheDatabase) {
  Both({.high_water = {Mark(kA, 5)}, .states = {State(kA, 3)}});
  DatabaseContents database = Database();
  database.states = absl::DataLossError("states");
  const auto result = Reconcile(database, witness_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->contents.states, witness_.states);
  database = Database();
  database.marks = absl::DataLossError("marks");
  EXPECT_EQ(Reconcile(database, witness_)->contents.marks.at(kA).scl, kUnknownScl);
  database.states = absl::DataLossError("states");
  EXPECT_EQ(Reconcile(database, absl::DataLossError("both")).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace sextant::storage
