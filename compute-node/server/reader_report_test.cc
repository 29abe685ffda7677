// What a reader says of its lag, and that it says nothing when it cannot know.
#include "compute-node/server/reader_report.h"

#include "gtest/gtest.h"

namespace sextant::server {
namespace {

compute::ReaderStatus Following() {
  compute::ReaderStatus status;
  status.is_open = status.is_following = true;
  status.published = Lsn(40);
  status.floor = Lsn(20);
  status.oldest = {Lsn(10), 1000};
  status.last_lag = absl::Milliseconds(3);
  status.lag_us.emplace();
  for (int i = 0; i < 98; ++i) status.lag_us->Record(1000);
  for (int i = 0; i < 2; ++i) status.lag_us->Record(50'000);
  return status;
}

TEST(ReaderReport, LagIsToldInMilliseconds) {
  v1::ComputeStatus told;
  FillReaderStatus(Following(), &told);
  EXPECT_EQ(told.phase(), "following");
  EXPECT_TRUE(told.reader().is_connected());
  EXPECT_EQ(told.reader().lag_ms(), 3);
  EXPECT_NEAR(told.reader().lag_p50_ms(), 1, 0.1);
  EXPECT_NEAR(told.reader().lag_p99_ms(), 50, 5);
  EXPECT_NEAR(told.reader().lag_max_ms(), 50, 5);
  EXPECT_EQ(told.oldest_lsn(), 20u);  // what lies below is not kept any more
}

TEST(ReaderReport, LagIsUnknownWhileCutOffAndWhileNothingIsCommitted) {
  compute::ReaderStatus cut_off = Following();
  cut_off.is_following = false;
  cut_off.lag_us = std::nullopt;
  cut_off.detail = "none of 2 compute nodes is an open writer now";
  compute::ReaderStatus idle = Following();
  idle.lag_us.emplace();
  for (const compute::ReaderStatus& status : {cut_off, idle}) {
    v1::ComputeStatus told;
    FillReaderStatus(status, &told);
    EXPECT_EQ(told.reader().is_connected(), status.is_following);
    EXPECT_EQ(told.detail(), status.detail);
    EXPECT_FALSE(told.reader().has_lag_ms());
    EXPECT_FALSE(told.reader().has_lag_p50_ms());
    EXPECT_FALSE(told.reader().has_lag_p99_ms());
    EXPECT_FALSE(told.reader().has_lag_max_ms());
    EXPECT_EQ(told.vdl(), 40u);  // it goes on serving
  }
  v1::ComputeStatus told;
  FillReaderStatus(cut_off, &told);
  EXPECT_EQ(told.phase(), "cut-off");
}

}  // namespace
}  // namespace sextant::server
