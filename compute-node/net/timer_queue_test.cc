// TimerQueue: order, cancelling, and silence after shutdown.
#include "compute-node/net/timer_queue.h"

#include <atomic>
#include <future>
#include <vector>

#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

TEST(TimerQueue, FiresInOrderOfTime) {
  TimerQueue timers;
  std::vector<int> order;
  std::promise<void> done;
  timers.After(absl::Milliseconds(30), [&] {
    order.push_back(3);
    done.set_value();
  });
  timers.After(absl::Milliseconds(10), [&] { order.push_back(2); });
  timers.After(absl::ZeroDuration(), [&] { order.push_back(1); });
  done.get_future().get();
  EXPECT_EQ(order, std::vector<int>({1, 2, 3}));
}

TEST(TimerQueue, ACancelledTimerNeverFires) {
  TimerQueue timers;
  std::atomic<bool> fired = false;
  const auto id = timers.After(absl::Hours(1), [&] { fired = true; });
  EXPECT_TRUE(timers.Cancel(id));
  EXPECT_FALSE(timers.Cancel(id));
  std::promise<void> done;
  timers.After(absl::Milliseconds(1), [&] { done.set_value(); });
  done.get_future().get();
  EXPECT_FALSE(fired);
}

TEST(TimerQueue, ACallbackMaySetTheNextTimer) {
  TimerQueue timers;
  std::promise<void> done;
  int left = 5;
  std::function<void()> again = [&] {
    if (--left == 0) return done.set_value();
    timers.After(absl::Milliseconds(1), again);
  };
  timers.After(absl::ZeroDuration(), again);
  done.get_future().get();
}

TEST(TimerQueue, IsSilentAfterShutdown) {
  std::atomic<int> fired = 0;
  TimerQueue timers;
  timers.After(absl::Hours(1), [&] { ++fired; });
  timers.Shutdown();
  timers.After(absl::ZeroDuration(), [&] { ++fired; });
  EXPECT_EQ(fired, 0);
}

}  // namespace
}  // namespace sextant::compute
