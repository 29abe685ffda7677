// The pool's wake-ups: one worker at a time is on its way, and still nothing that waits is left
// behind while a worker is idle.
#include "compute-node/sql/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

#include "common/testing/await.h"

namespace sextant::sql {
namespace {

constexpr int kThreads = 4;

TEST(WorkerPoolTest, WorkBehindBlockedWorkersRunsOnTheIdleOne) {
  std::latch release(1);
  std::atomic<int> blocked{0}, done{0};
  WorkerPool pool(kThreads);
  for (int i = 0; i < kThreads - 1; ++i) {
    pool.Post([&] {
      ++blocked;
      release.wait();
    });
  }
  for (int i = 0; i < 100; ++i) pool.Post([&] { ++done; });
  EXPECT_TRUE(testing::Await([&] { return blocked == kThreads - 1 && done == 100; }));
  release.count_down();
}

TEST(WorkerPoolTest, ABurstReachesEveryWorkerIfEachBlocks) {
  std::latch release(1);
  std::atomic<int> blocked{0};
  WorkerPool pool(kThreads);
  for (int round = 0; round < kThreads; ++round) {
    pool.Post([&] {
      ++blocked;
      release.wait();
    });
  }
  EXPECT_TRUE(testing::Await([&] { return blocked == kThreads; }));
  release.count_down();
}

TEST(WorkerPoolTest, WorkThatPostsAndTimersAreAllRun) {
  std::atomic<int> done{0};
  WorkerPool pool(kThreads);
  for (int i = 0; i < 1000; ++i) {
    pool.Post([&] { pool.Post([&] { ++done; }); });
    pool.After(absl::Microseconds(i), [&] { ++done; });
  }
  EXPECT_TRUE(testing::Await([&] { return done == 2000; }));
}

TEST(WorkerPoolTest, StopRunsWhatWasPosted) {
  std::atomic<int> done{0};
  WorkerPool pool(kThreads);
  for (int i = 0; i < 100; ++i) pool.Post([&] { ++done; });
  pool.Stop();
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace sextant::sql
