// WriteTicketQueue: order, time-outs, shutdown, and that quick holders do not nest.
#include "compute-node/writer/write_ticket.h"

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

constexpr auto kLong = absl::Minutes(10);

TEST(WriteTicketQueue, GivesAFreeTicketAtOnce) {
  WriteTicketQueue queue;
  auto ticket = queue.AcquireBlocking(kLong);
  ASSERT_TRUE(ticket.ok());
  EXPECT_TRUE(ticket->is_held());
  EXPECT_EQ(queue.waiting(), 0u);
}

TEST(WriteTicketQueue, ServesWaitersInOrder) {
  WriteTicketQueue queue;
  auto first = queue.AcquireBlocking(kLong);
  std::vector<int> order;
  std::vector<WriteTicket> held(3);
  for (int i = 0; i < 3; ++i) {
    queue.Acquire(kLong, [&, i](absl::StatusOr<WriteTicket> ticket) {
      order.push_back(i);
      held[i] = *std::move(ticket);
    });
  }
  EXPECT_EQ(queue.waiting(), 3u);
  EXPECT_TRUE(order.empty());
  first->Release();
  EXPECT_EQ(order, std::vector<int>({0}));
  held[0].Release();
  held[1] = WriteTicket();  // assignment releases too
  EXPECT_EQ(order, std::vector<int>({0, 1, 2}));
}

TEST(WriteTicketQueue, TimesOutAWaiterAndServesTheNext) {
  WriteTicketQueue queue;
  auto first = queue.AcquireBlocking(kLong);
  std::promise<WriteTicket> next;
  auto late =
      std::async(std::launch::async, [&] { return queue.AcquireBlocking(absl::Milliseconds(1)); });
  EXPECT_EQ(late.get().status().code(), absl::StatusCode::kDeadlineExceeded);
  queue.Acquire(kLong, [&](absl::StatusOr<WriteTicket> t) { next.set_value(*std::move(t)); });
  first->Release();
  EXPECT_TRUE(next.get_future().get().is_held());
}

TEST(WriteTicketQueue, ManyWhoDropItInTheirCallbackDoNotNest) {
  WriteTicketQueue queue(200'000);
  auto first = queue.AcquireBlocking(kLong);
  int served = 0;
  for (int i = 0; i < 100'000; ++i) {
    queue.Acquire(kLong, [&](absl::StatusOr<WriteTicket>) { ++served; });
  }
  first->Release();
  EXPECT_EQ(served, 100'000);
}

TEST(WriteTicketQueue, ShutdownRefusesWaitersAndTicketsOutliveIt) {
  absl::StatusCode refused = absl::StatusCode::kOk;
  absl::StatusOr<WriteTicket> held;
  {
    WriteTicketQueue queue;
    held = queue.AcquireBlocking(kLong);
    queue.Acquire(kLong, [&](absl::StatusOr<WriteTicket> t) { refused = t.status().code(); });
  }
  EXPECT_EQ(refused, absl::StatusCode::kUnavailable);
  held->Release();
}

TEST(WriteTicketQueue, RefusesMoreThanItsBound) {
  WriteTicketQueue queue(1);
  auto first = queue.AcquireBlocking(kLong);
  queue.Acquire(kLong, [](absl::StatusOr<WriteTicket>) {});
  EXPECT_EQ(queue.AcquireBlocking(kLong).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(WriteTicketQueue, ExcludesThreads) {
  WriteTicketQueue queue;
  int counter = 0;  // guarded by the ticket alone
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        auto ticket = queue.AcquireBlocking(kLong);
        ASSERT_TRUE(ticket.ok());
        ++counter;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter, 2000);
}

}  // namespace
}  // namespace sextant::compute
