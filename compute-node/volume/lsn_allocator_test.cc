// Unit tests of LsnAllocator.
#include "compute-node/volume/lsn_allocator.h"

#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

TEST(LsnAllocator, GivesDenseLsnsFromWhereRecoveryLeftThem) {
  LsnAllocator lsns(Lsn(101), 10);
  EXPECT_EQ(lsns.Allocate(3, Lsn(90)), Lsn(101));
  EXPECT_EQ(lsns.Allocate(1, Lsn(90)), Lsn(104));
  EXPECT_EQ(lsns.next(), Lsn(105));
}

TEST(LsnAllocator, TheLimitCountsFromTheAnnulledRangeAndThenFromVdl) {
  LsnAllocator lsns(Lsn(101), 10);
  lsns.Allocate(10, Lsn(90));
  EXPECT_EQ(lsns.Check(1, Lsn(90)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(lsns.Check(1, Lsn(100)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(lsns.Check(1, Lsn(101)).ok());
  EXPECT_FALSE(lsns.Check(2, Lsn(101)).ok());
  lsns.Allocate(10, Lsn(110));
}

TEST(LsnAllocator, AnMtrAboveTheLimitNeverFits) {
  EXPECT_EQ(LsnAllocator(Lsn(1), 10).Check(11, Lsn()).code(), absl::StatusCode::kInvalidArgument);
}

TEST(LsnAllocatorDeathTest, AllocatingUncheckedIsABug) {
  LsnAllocator lsns(Lsn(1), 2);
  EXPECT_DEATH(lsns.Allocate(3, Lsn()), "CHECK|Check");
}

}  // namespace
}  // namespace sextant::compute
