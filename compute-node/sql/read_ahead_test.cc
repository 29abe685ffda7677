// A scan is fetched ahead, each page once; other reads are left alone.
#include "compute-node/sql/read_ahead.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace sextant::sql {
namespace {

TEST(ReadAhead, AScanIsFetchedAheadOnceAndInFewRequests) {
  ReadAhead ahead;
  std::set<uint64_t> fetched;
  int requests = 0;
  for (uint64_t page = 100; page < 1100; ++page) {
    if (page > 110 && page < 1000) EXPECT_TRUE(fetched.contains(page)) << page;
    const ReadAhead::Range range = ahead.Read(PageNo(page), PageNo(1000));
    if (range.count == 0) continue;
    ++requests;
    for (uint64_t i = 0; i < range.count; ++i) {
      EXPECT_GT(range.first.value() + i, page);
      EXPECT_LT(range.first.value() + i, 1000u);
      EXPECT_TRUE(fetched.insert(range.first.value() + i).second);
    }
  }
  EXPECT_LT(requests, 30);
}

TEST(ReadAhead, GapsDoNotEndAScan) {
  ReadAhead ahead;
  uint64_t fetched = 0;
  for (uint64_t page = 10; page < 400; page += 1 + page % 3) {
    fetched += ahead.Read(PageNo(page), PageNo(100'000)).count;
  }
  EXPECT_GT(fetched, 300u);
}

TEST(ReadAhead, PointReadsFetchNothing) {
  ReadAhead ahead;
  std::mt19937_64 random(5);
  uint64_t fetched = 0;
  for (int i = 0; i < 100'000; ++i) {
    fetched += ahead.Read(PageNo(random() % 100'000), PageNo(100'000)).count;
  }
  EXPECT_EQ(fetched, 0u);
}

}  // namespace
}  // namespace sextant::sql
