// PageFetcher over fake peers: hedging, moving on to other members, giving up.
#include "compute-node/net/page_fetcher.h"

#include <deque>
#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using Reply = absl::StatusOr<protocol::ReadPagesReply>;

Reply PageAt(uint64_t lsn, size_t bytes = 512) {
  protocol::ReadPagesReply reply;
  reply.pages.push_back({Lsn(lsn), std::string(bytes, 'p')});
  return reply;
}

// Answers reads with what the test says, at once, or never before Shutdown.
class FakePeer final : public StoragePeer {
 public:
  explicit FakePeer(std::string name) : name_(std::move(name)) {}

  const std::string& node() const override { return name_; }
  void ReadPages(const protocol::ReadPagesRequest&, absl::Duration,
                 Done<protocol::ReadPagesReply> done) override {
    std::optional<Reply> answer;
    {
      std::lock_guard lock(mutex_);
      ++reads_;
      if (is_silent_) {
        held_.push_back(std::move(done));
        return;
      }
      answer = answer_;
    }
    done(*answer);
  }
  void Answer(Reply answer) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    is_silent_ = false;
  }
  void StaySilent() {
    std::lock_guard lock(mutex_);
    is_silent_ = true;
  }
  int reads() {
    std::lock_guard lock(mutex_);
    return reads_;
  }

  void OpenStream(StreamEvents) override {}
  void SendBatch(const log::EncodedBatch&) override {}
  void SendProbe(const protocol::EpochProbe&) override {}
  void GetStatus(absl::Duration, Done<protocol::NodeStatus>) override {}
  void CreateSegment(const protocol::CreateSegmentRequest&, absl::Duration,
                     Done<protocol::SegmentStatus>) override {}
  void DropSegment(const protocol::DropSegmentRequest&, absl::Duration,
                   Done<protocol::DropSegmentReply>) override {}
  void RaiseEpoch(const protocol::RaiseEpochRequest&, absl::Duration,
                  Done<protocol::SegmentStatus>) override {}
  void ReadLog(const protocol::ReadLogRequest&, absl::Duration,
               Done<protocol::ReadLogReply>) override {}
  void Shutdown() override {
    std::vector<Done<protocol::ReadPagesReply>> held;
    {
      std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (auto& done : held) done(absl::UnavailableError("shut down"));
  }

 private:
  const std::string name_;
  std::mutex mutex_;
  Reply answer_ = absl::UnavailableError("not told");
  bool is_silent_ = false;
  int reads_ = 0;
  std::vector<Done<protocol::ReadPagesReply>> held_;
};

class PageFetcherTest : public ::testing::Test {
 protected:
  PageFetcherTest() {
    options_.deadline = absl::Milliseconds(500);
    options_.round_pause = absl::Milliseconds(5);
    options_.choice.max_hedge = absl::Milliseconds(10);
    options_.choice.probe_one_in = UINT64_MAX;
    fetcher_.emplace(std::vector<StoragePeer*>{&a_, &b_, &c_}, &timers_, options_, 1);
  }
  ~PageFetcherTest() override {
    for (FakePeer* peer : {&a_, &b_, &c_}) peer->Shutdown();
    timers_.Shutdown();
  }
  Reply Fetch(std::vector<NodeIndex> complete = {NodeIndex(0), NodeIndex(1), NodeIndex(2)}) {
    PageFetch fetch;
    fetch.request.read_point = Lsn(100);
    fetch.request.pages = {PageNo(1)};
    fetch.page_bytes = 512;
    fetch.complete = [complete] { return complete; };
    std::promise<Reply> promise;
    fetcher_->Fetch(std::move(fetch), [&](Reply reply) { promise.set_value(std::move(reply)); });
    return promise.get_future().get();
  }

  PageFetcher::Options options_;
  TimerQueue timers_;
  FakePeer a_{"a"}, b_{"b"}, c_{"c"};
  std::optional<PageFetcher> fetcher_;
};

TEST_F(PageFetcherTest, AsksOneMember) {
  a_.Answer(PageAt(50));
  ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(a_.reads() + b_.reads() + c_.reads(), 1);
}

TEST_F(PageFetcherTest, MovesOnFromErrors) {
  a_.Answer(absl::OutOfRangeError("behind"));
  b_.Answer(absl::DataLossError("damaged"));
  c_.Answer(PageAt(50));
  EXPECT_TRUE(Fetch().ok());
  EXPECT_TRUE(Fetch().ok());
  EXPECT_EQ(c_.reads(), 2);
  EXPECT_EQ(a_.reads() + b_.reads(), 2);  // the second time the one that answered came first
}

TEST_F(PageFetcherTest, HedgesWhenTheFirstIsSilent) {
  a_.StaySilent();
  b_.StaySilent();
  c_.Answer(PageAt(50));
  EXPECT_TRUE(Fetch().ok());
  EXPECT_GE(fetcher_->counters().hedges, 2u);
  EXPECT_EQ(fetcher_->counters().hedge_wins, 1u);
}

TEST_F(PageFetcherTest, NeverTakesAPageNewerThanTheReadPointOrOfAnotherSize) {
  a_.Answer(PageAt(101));
  b_.Answer(PageAt(50, 4096));
  c_.Answer(PageAt(100));
  const Reply reply = Fetch();
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->pages[0].lsn, Lsn(100));
}

TEST_F(PageFetcherTest, SaysDamagedOnlyWhenAllAre) {
  for (FakePeer* peer : {&a_, &b_, &c_}) peer->Answer(absl::DataLossError("damaged"));
  EXPECT_EQ(Fetch().status().code(), absl::StatusCode::kDataLoss);
  b_.Answer(absl::UnavailableError("away"));
  EXPECT_EQ(Fetch().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PageFetcherTest, KeepsTryingUntilAMemberComesBack) {
  for (FakePeer* peer : {&a_, &b_, &c_}) peer->Answer(absl::UnavailableError("away"));
  timers_.After(absl::Milliseconds(50), [&] { b_.Answer(PageAt(7)); });
  EXPECT_TRUE(Fetch().ok());
}

TEST_F(PageFetcherTest, AFenceEndsItAtOnce) {
  a_.Answer(absl::FailedPreconditionError("epoch 2"));
  b_.Answer(PageAt(50));
  EXPECT_EQ(Fetch().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(b_.reads(), 0);
}

TEST_F(PageFetcherTest, NobodyCompleteIsUnavailable) {
  EXPECT_EQ(Fetch({}).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sextant::compute
