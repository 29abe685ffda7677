// gRPC as this project tunes it: one thread for all callbacks, few packets, and streams that flow.
#include "common/rpc/tuned_grpc.h"

#include <arpa/inet.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/rpc/channel.h"

namespace sextant::rpc {
namespace {

// Threads that callbacks ran on.
class Threads {
 public:
  void Note() {
    std::lock_guard lock(mutex_);
    ids_.insert(gettid());
  }
  std::set<pid_t> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(ids_, {});
  }

 private:
  std::mutex mutex_;
  std::set<pid_t> ids_;
};
Threads threads;

// Answers what it is sent.
class Echo final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Reactor;
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor() { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      threads.Note();
      if (!ok) return Finish(grpc::Status::OK);
      StartWrite(&message_);
    }
    void OnWriteDone(bool) override { StartRead(&message_); }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer message_;
  };
};

// Sends messages one after the other, each when the one before has come back.
class Conversation final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Conversation(
      const std::shared_ptr<grpc::Channel>& channel, int messages, size_t bytes,
      std::function<void()> on_message = [] {})
      : stub_(channel), left_(messages), bytes_(bytes), on_message_(std::move(on_message)) {
    context_.set_wait_for_ready(true);
    stub_.PrepareBidiStreamingCall(&context_, "/sextant.test.Echo/Say", {}, this);
    Say();
    StartCall();
  }
  // What came back, in bytes.
  uint64_t Await() {
    const grpc::Status status = done_.get_future().get();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return echoed_;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    echoed_ += incoming_.Length();
    on_message_();
    GoOn();
  }
  void OnWriteDone(bool) override { GoOn(); }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }

 private:
  // When the message has left and come back; which of the two is told first is not said. Callbacks
  // come one after the other here.
  void GoOn() {
    threads.Note();
    if (++done_of_two_ % 2 != 0) return;
    if (--left_ > 0) {
      Say();
    } else {
      StartWritesDone();
    }
  }
  void Say() {
    const grpc::Slice slice(std::string(bytes_, 'x'));
    outgoing_ = grpc::ByteBuffer(&slice, 1);
    StartRead(&incoming_);
    StartWrite(&outgoing_);
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  int left_;  // messages
  int done_of_two_ = 0;
  const size_t bytes_;
  const std::function<void()> on_message_;
  uint64_t echoed_ = 0;
  grpc::ByteBuffer outgoing_, incoming_;
  std::promise<grpc::Status> done_;
};

// The port of a socket's end, which is at the same place for both families; 0: no such socket.
int PortOf(int fd, decltype(&getsockname) end) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (end(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

// Packets with data on the connections to `port`, of which this process has both ends.
uint64_t PacketsSent(int port) {
  uint64_t packets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename());
    if (PortOf(fd, getsockname) != port && PortOf(fd, getpeername) != port) continue;
    tcp_info info = {};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
      packets += info.tcpi_data_segs_out;
    }
  }
  return packets;
}

class TunedGrpcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!TuneGrpc()) GTEST_SKIP() << "gRPC " << grpc::Version() << " is left alone";
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    echo_ = std::make_unique<Echo>();
    builder.RegisterCallbackGenericService(echo_.get());
    server_ = builder.BuildAndStart();
  }
  void TearDown() override {
    if (server_) server_->Shutdown();
  }
  std::shared_ptr<grpc::Channel> Connect() const {
    return MakeChannel("127.0.0.1:" + std::to_string(port_));
  }

  std::unique_ptr<Echo> echo_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(TunedGrpcTest, AllCallbacksOfAProcessRunOnOneThread) {
  // Twice: the thread ends with its last channel or server, and begins again with the next.
  for (int round = 0; round < 2; ++round) {
    if (round > 0) SetUp();
    threads.Take();
    const auto one = Connect(), other = Connect();
    for (int call = 0; call < 20; ++call) {
      EXPECT_EQ(Conversation(call % 2 == 0 ? one : other, 1, 100).Await(), 100u);
    }
    server_->Shutdown();
    server_ = nullptr;
    EXPECT_EQ(threads.Take().size(), 1u);
  }
}

TEST_F(TunedGrpcTest, WhatWaitsForAnIdlePollerIsDoneThereAndSoon) {
  EXPECT_FALSE(WhenPollerIsIdle([] { ADD_FAILURE() << "this is no poller"; }));
  constexpr int kStreams = 8, kMessages = 1'000;
  const auto channel = Connect();
  // Callbacks come on both ends of all streams until the last message is back.
  std::promise<int> done;
  std::vector<std::unique_ptr<Conversation>> streams;
  std::atomic<int> heard{0};
  const auto on_message = [&] {
    if (++heard != 100) return;
    const pid_t poller = gettid();
    EXPECT_TRUE(WhenPollerIsIdle([&, poller] {
      EXPECT_EQ(gettid(), poller);
      done.set_value(heard);
    }));
  };
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<Conversation>(channel, kMessages, 100, on_message));
  }
  for (const auto& stream : streams) EXPECT_EQ(stream->Await(), kMessages * 100u);
  EXPECT_LT(done.get_future().get(), 100 + 64 + 1);
}

// Keeps the poller busy without a pause: a read of a call that has ended fails at once, and its
// callback begins the next.
class Failing final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Calls `on_read` for each read until that says false.
  Failing(const std::shared_ptr<grpc::Channel>& channel, std::function<bool()> on_read)
      : stub_(channel), on_read_(std::move(on_read)) {
    stub_.PrepareBidiStreamingCall(&context_, "/sextant.test.Echo/Say", {}, this);
    StartRead(&message_);
    StartCall();
    context_.TryCancel();
  }
  void Await() { done_.get_future().wait(); }

  void OnReadDone(bool ok) override {
    EXPECT_FALSE(ok);
    if (on_read_()) StartRead(&message_);
  }
  void OnDone(const grpc::Status&) override { done_.set_value(); }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const std::function<bool()> on_read_;
  grpc::ByteBuffer message_;
  std::promise<void> done_;
};

TEST_F(TunedGrpcTest, WhatWaitsForAnIdlePollerWaitsFor64CallbacksAtMost) {
  constexpr int kReads = 10'000;
  int reads = 0, waited_through = 0;
  Failing busy(Connect(), [&] {
    if (++reads == 100) EXPECT_TRUE(WhenPollerIsIdle([&] { waited_through = reads; }));
    return reads < kReads;
  });
  busy.Await();
  EXPECT_GT(waited_through, 100);
  EXPECT_LE(waited_through, 100 + 64);
}

TEST_F(TunedGrpcTest, WhatIsHandedToThePollerIsDoneThereInOrder) {
  const auto channel = Connect();
  std::promise<pid_t> callback;
  std::promise<bool> in_place;
  Conversation(channel, 1, 100, [&] {
    callback.set_value(gettid());
    bool is_done = false;
    AtPoller([&] { is_done = true; });
    in_place.set_value(is_done);
  }).Await();
  const pid_t poller = callback.get_future().get();
  EXPECT_TRUE(in_place.get_future().get());

  constexpr int kThreads = 4, kWorks = 2'000;
  std::atomic<int> left{kThreads * kWorks};
  std::promise<void> all;
  const auto hand_over = [&] {
    auto last = std::make_shared<int>(-1);
    for (int i = 0; i < kWorks; ++i) {
      AtPoller([&, last, i] {
        EXPECT_EQ(gettid(), poller);
        EXPECT_EQ(std::exchange(*last, i), i - 1);
        if (--left == 0) all.set_value();
      });
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(hand_over);
  for (std::thread& thread : threads) thread.join();
  all.get_future().get();
}

TEST_F(TunedGrpcTest, NothingHandedToAPollerIsLostWithIt) {
  constexpr int kWorks = 100;
  std::atomic<int> there{0}, in_place{0};
  for (int round = 0; round < 50; ++round) {
    if (round > 0) SetUp();
    auto channel = Connect();
    Conversation(channel, 1, 100).Await();
    std::thread other([&] {
      for (int i = 0; i < kWorks; ++i) {
        AtPoller([&, self = gettid()] { ++(gettid() == self ? in_place : there); });
      }
    });
    server_->Shutdown();
    server_ = nullptr;
    channel = nullptr;  // the last that has a poller
    other.join();
    EXPECT_EQ(there + in_place, (round + 1) * kWorks);
  }
  EXPECT_GT(there, 0);
  const int before = in_place;
  AtPoller([&, self = gettid()] { in_place += gettid() == self; });
  EXPECT_EQ(in_place, before + 1);
}

TEST_F(TunedGrpcTest, AMessageIsOnePacket) {
  constexpr int kMessages = 300;
  const auto channel = Connect();
  Conversation(channel, 1, 200).Await();  // the connection's own
  const uint64_t before = PacketsSent(port_);
  Conversation(channel, kMessages, 200).Await();
  const uint64_t sent = PacketsSent(port_) - before;
  EXPECT_GE(sent, 2 * kMessages);  // there and back
  // Half as many again, at least, where each update of a window leaves alone.
  EXPECT_LT(sent, 2 * kMessages * 1.2);
}

TEST_F(TunedGrpcTest, StreamsFlowWhateverTheirMessages) {
  const auto channel = Connect();
  for (const size_t bytes : {1, 1'000, 16'000, 17'000, 100'000, 15'000'000}) {
    const int messages = static_cast<int>(std::min<size_t>(20'000'000 / bytes + 1, 2'000));
    EXPECT_EQ(Conversation(channel, messages, bytes).Await(), bytes * messages);
  }
}

}  // namespace
}  // namespace sextant::rpc
