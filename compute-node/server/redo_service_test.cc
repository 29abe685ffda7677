// RedoService over gRPC, with the reader's own client (reader/grpc_redo_source.h): a reader that is
// slow, that comes and goes, that asks the wrong node or a writer that was succeeded.
#include "compute-node/server/redo_service.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "common/rpc/redo_wire.h"
#include "common/rpc/status.h"
#include "common/testing/await.h"
#include "compute-node/reader/grpc_redo_source.h"
#include "compute-node/replica/replica.h"
#include "compute-node/server/writer_node_testing.h"
#include "embedded/embedded_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::server {
namespace {

using embedded::EmbeddedCluster;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr uint32_t kPageBytes = 4096;

// Follows on a thread of its own, by gRPC's synchronous API: a reader that is stuck in on_message
// is as one in another process is, it holds up no other call of this one.
class SynchronousSource final : public compute::RedoSource {
 public:
  explicit SynchronousSource(const std::string& address)
      : stub_(v1::RedoService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}
  ~SynchronousSource() override { Shutdown(); }

  void Open(protocol::FollowHello hello, Events events) override {
    thread_ = std::thread([this, hello = std::move(hello), events = std::move(events)] {
      v1::FollowRequest request;
      rpc::ToProto(hello, request.mutable_hello());
      auto stream = stub_->Follow(&context_);
      stream->Write(request);
      v1::FollowResponse response;
      while (stream->Read(&response)) {
        auto message = rpc::FromProto(std::move(response));
        ASSERT_TRUE(message.ok()) << message.status();
        events.on_message(*std::move(message));
      }
      events.on_end(rpc::FromGrpc(stream->Finish(), "the writer"));
    });
  }
  void Report(const protocol::FollowProgress&) override {}
  void Close() override { context_.TryCancel(); }
  void Shutdown() override {
    Close();
    if (thread_.joinable()) thread_.join();
  }

 private:
  const std::unique_ptr<v1::RedoService::Stub> stub_;
  grpc::ClientContext context_;
  std::thread thread_;
};

// A reader's end: what it is told goes into a Replica, pages apart.
class Reader {
 public:
  Reader(std::string name, std::string address)
      : Reader(std::move(name),
               compute::MakeGrpcRedoSource({.nodes = {{"writer", std::move(address)}}})) {}
  Reader(std::string name, std::unique_ptr<compute::RedoSource> source)
      : replica_(std::move(name), {}), source_(std::move(source)) {}
  ~Reader() {
    SetPaused(false);
    source_->Shutdown();
  }

  void Open() {
    protocol::FollowHello hello;
    {
      std::lock_guard lock(mutex_);
      ended_ = std::nullopt;
      hello = replica_.Begin(replica_.is_open() ? replica_.published() : Lsn());
    }
    source_->Open(std::move(hello),
                  {[](const compute::ComputeNodeName&) {},
                   [this](protocol::FollowMessage message) { Take(std::move(message)); },
                   [this](const absl::Status& why) { End(why); }});
  }
  void Close() { source_->Close(); }
  absl::Status AwaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoSeconds(kLong), [this] { return ended_.has_value(); });
    return ended_.value_or(absl::DeadlineExceededError("the stream goes on"));
  }
  bool AwaitPublished(Lsn lsn) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kLong),
                             [&] { return replica_.is_open() && replica_.published() >= lsn; });
  }
  // While paused it takes no message that comes.
  void SetPaused(bool is_paused) {
    std::lock_guard lock(mutex_);
    is_paused_ = is_paused;
    changed_.notify_all();
  }
  void Report() {
    std::lock_guard lock(mutex_);
    source_->Report({replica_.published(), replica_.published()});
  }
  compute::ReplicaCounters counters() {
    std::lock_guard lock(mutex_);
    return replica_.counters();
  }

 private:
  void Take(protocol::FollowMessage message) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !is_paused_; });
    const auto step = replica_.Take(std::move(message));
    EXPECT_TRUE(step.ok()) << step.status();
    changed_.notify_all();
  }
  void End(const absl::Status& why) {
    std::lock_guard lock(mutex_);
    ended_ = why;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  compute::Replica replica_;
  bool is_paused_ = false;
  std::optional<absl::Status> ended_;
  const std::unique_ptr<compute::RedoSource> source_;
};

class RedoServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    embedded::EmbeddedOptions options;
    options.geometry = {.page_bytes = kPageBytes, .pages_per_pg = 64, .pg_count = 2};
    options.adjust_writer = [](compute::WriterVolumeOptions* writer) {
      writer->redo_ring_bytes = 2 << 20;
    };
    cluster_ = *EmbeddedCluster::Create(std::move(options));
    ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
    ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
    backend_ = std::make_unique<RedoBackend>(&writer());
    service_.Attach(backend_.get());
    node_ = std::make_unique<WriterNode>(&writer());
    compute_ = std::make_unique<ComputeService>(node_.get());
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    builder.RegisterService(compute_.get());
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
    stub_ =
        v1::RedoService::NewStub(grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    Detach(absl::UnavailableError("this node is shutting down"));
    server_->Shutdown(std::chrono::system_clock::now());
  }

  // As a role does when it ends.
  void Detach(const absl::Status& why) {
    if (backend_ == nullptr) return;
    service_.Detach(backend_.get(), why);
    writer().Shutdown();
    service_.AwaitUnused(backend_.get(), kLong);
    backend_ = nullptr;
  }

  compute::WriterVolume& writer() { return cluster_->writer(); }

  // Every page anew, one mini-transaction a page; durable.
  Lsn Write() {
    ++round_;
    Lsn last;
    for (uint64_t page = 0; page < 64; ++page) {
      auto view = *writer().OpenView(writer().head());
      auto base = writer().ReadPage(*view, PageNo(page));
      EXPECT_TRUE(base.ok()) << base.status();
      const auto lsn = writer().Append(
          {{PageNo(page), *base, std::string(kPageBytes, static_cast<char>('a' + round_ % 26))}});
      EXPECT_TRUE(lsn.ok()) << lsn.status();
      last = lsn.value_or(last);
    }
    EXPECT_EQ(writer().Drain(kLong), absl::OkStatus());
    return last;
  }
  compute::FollowerStatus Follower(const std::string& name) {
    for (const compute::FollowerStatus& reader : writer().status().readers) {
      if (reader.node == name) return reader;
    }
    return {};
  }

  // What a stream that begins with this request ends with.
  grpc::Status FollowWith(const v1::FollowRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kLong));
    auto stream = stub_->Follow(&context);
    stream->Write(request);
    v1::FollowResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  }

  std::unique_ptr<EmbeddedCluster> cluster_;
  std::unique_ptr<RedoBackend> backend_;
  RedoService service_;
  std::unique_ptr<WriterNode> node_;
  std::unique_ptr<ComputeService> compute_;
  std::string address_;
  std::unique_ptr<v1::RedoService::Stub> stub_;
  std::unique_ptr<grpc::Server> server_;
  int round_ = 0;
};

TEST_F(RedoServiceTest, ASlowReaderJumpsAndTheWriterGoesOn) {
  Reader slow("reader-1", std::make_unique<SynchronousSource>(address_));
  Reader quick("reader-2", address_);
  slow.Open();
  quick.Open();
  ASSERT_TRUE(slow.AwaitPublished(Write()));
  slow.SetPaused(true);
  // What fits into the connection's buffers leaves; then it falls behind the ring, which is small.
  for (int round = 0; round < 200 && !Follower("reader-1").is_behind; ++round) {
    ASSERT_TRUE(quick.AwaitPublished(Write()));
  }
  ASSERT_TRUE(Follower("reader-1").is_behind);
  EXPECT_FALSE(Follower("reader-2").is_behind);
  slow.SetPaused(false);
  EXPECT_TRUE(slow.AwaitPublished(writer().vdl()));
  EXPECT_GE(slow.counters().jumps, 1u);
  EXPECT_EQ(quick.counters().jumps, 0u);
  ASSERT_TRUE(slow.AwaitPublished(Write()));
  EXPECT_FALSE(Follower("reader-1").is_behind);
}

TEST_F(RedoServiceTest, AReaderComesAndGoesAndMissesNothing) {
  Reader reader("reader-1", address_);
  Write();
  for (int turn = 1; turn <= 20; ++turn) {
    reader.Open();
    ASSERT_TRUE(reader.AwaitPublished(writer().vdl()));
    ASSERT_TRUE(testing::Await([&] { return Follower("reader-1").is_connected; }));
    reader.Report();
    ASSERT_TRUE(testing::Await([&] { return Follower("reader-1").is_holding; }));
    if (turn % 2 == 0) {
      ASSERT_TRUE(reader.AwaitPublished(Write()));
    }
    reader.Close();
    EXPECT_FALSE(reader.AwaitEnd().ok());
    ASSERT_TRUE(testing::Await([&] { return !Follower("reader-1").is_connected; }));
    EXPECT_TRUE(Follower("reader-1").is_holding);
    // Some of what comes while it is away.
    auto view = *writer().OpenView(writer().head());
    const auto base = writer().ReadPage(*view, PageNo(70));
    ASSERT_TRUE(base.ok());
    const std::string after(kPageBytes, static_cast<char>('A' + turn % 26));
    ASSERT_TRUE(writer().Append({{PageNo(70), *base, after}}).ok());
  }
  EXPECT_EQ(reader.counters().streams, 20u);
  EXPECT_EQ(reader.counters().jumps, 0u);
}

TEST_F(RedoServiceTest, AReaderThatKnowsANewerEpochIsRefused) {
  v1::FollowRequest request;
  rpc::ToProto(protocol::FollowHello{.node = "reader-1", .epoch = VolumeEpoch(2)},
               request.mutable_hello());
  const grpc::Status refused = FollowWith(request);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("has been succeeded"));
  EXPECT_TRUE(writer().status().readers.empty());
}

TEST_F(RedoServiceTest, AStreamBeginsWithHello) {
  const grpc::Status refused = FollowWith({});
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("hello"));
}

TEST_F(RedoServiceTest, WhenTheRoleEndsStreamsEndAndNobodyIsFollowedAnyMore) {
  Reader reader("reader-1", address_);
  reader.Open();
  ASSERT_TRUE(reader.AwaitPublished(Write()));
  Detach(absl::UnavailableError("this node only reads from here on"));
  EXPECT_THAT(std::string(reader.AwaitEnd().message()), HasSubstr("only reads from here on"));
  EXPECT_EQ(FollowWith({}).error_code(), grpc::StatusCode::UNAVAILABLE);
  service_.Refuse(absl::FailedPreconditionError("this node only reads"));
  EXPECT_EQ(FollowWith({}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

}  // namespace
}  // namespace sextant::server
