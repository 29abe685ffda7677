// GrpcStoragePeer against a small storage service: batches and acks, reconnecting, a peer that does
// not read, calls to nobody, and silence after shutdown.
#include "compute-node/net/grpc_storage_peer.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "common/rpc/storage_wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sextant/v1/storage.grpc.pb.h"

namespace sextant::compute {
namespace {

constexpr auto kLong = std::chrono::seconds(60);

// Acknowledges the n-th batch of a stream with SCL n, unless told not to read; answers probes with
// epoch 5.
class FakeStorageService final : public v1::StorageService::Service {
 public:
  grpc::Status Append(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::AppendResponse, v1::AppendRequest>* stream) override {
    v1::AppendRequest request;
    uint64_t count = 0;
    while (reads_ && stream->Read(&request)) {
      if (request.probes_size() > 0) {
        v1::AppendResponse response;
        rpc::ToProto({.segment = rpc::FromProto(request.probes(0)).segment,
                      .round = request.probes(0).round(),
                      .epoch = VolumeEpoch(5)},
                     response.add_answers());
        stream->Write(response);
        continue;
      }
      {
        std::lock_guard lock(mutex_);
        batches_.push_back(request.batch());
      }
      v1::AppendResponse response;
      v1::AppendAck* ack = response.add_acks();
      ack->set_volume(7);
      ack->set_scl(++count);
      stream->Write(response);
    }
    while (!reads_ && !context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::NodeStatus* status) override {
    status->set_node("az1-a");
    status->set_zone("az1");
    return grpc::Status::OK;
  }
  grpc::Status ReadPages(grpc::ServerContext*, const v1::ReadPagesRequest*,
                         v1::ReadPagesResponse*) override {
    return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "not complete");
  }

  std::vector<std::string> batches() {
    std::lock_guard lock(mutex_);
    return batches_;
  }
  std::atomic<bool> reads_{true};

 private:
  std::mutex mutex_;
  std::vector<std::string> batches_;
};

// What the stream's events said, to wait for.
class Recorder {
 public:
  StoragePeer::StreamEvents Events() {
    return {[this] { Note([this] { ++ups_; }); },
            [this](const protocol::AppendAck& ack) { Note([&] { scl_ = ack.scl; }); },
            [this](const absl::Status& why) {
              Note([&] {
                ++downs_;
                why_ = why;
              });
            },
            [this](const protocol::EpochAnswer& answer) { Note([&] { answer_ = answer; }); }};
  }
  template <typename Condition>
  bool WaitFor(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, condition);
  }

  int ups_ = 0;
  int downs_ = 0;
  Lsn scl_;
  absl::Status why_;
  protocol::EpochAnswer answer_;

 private:
  template <typename Change>
  void Note(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

log::EncodedBatch Batch(std::string bytes) {
  log::EncodedBatch batch;
  batch.bytes = std::make_shared<const std::string>(std::move(bytes));
  return batch;
}

class GrpcStoragePeerTest : public ::testing::Test {
 protected:
  void SetUp() override { StartServer(); }
  void TearDown() override {
    if (peer_) peer_->Shutdown();
    StopServer();
  }
  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port_),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void StopServer() {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
  }
  StoragePeer& Peer(uint64_t max_queued_bytes = 64 << 20) {
    GrpcPeerOptions options;
    options.node = "az1-a";
    options.address = "127.0.0.1:" + std::to_string(port_);
    options.max_queued_bytes = max_queued_bytes;
    peer_ = MakeGrpcStoragePeer(options, &timers_);
    return *peer_;
  }
  template <typename Reply>
  Done<Reply> Into(std::promise<absl::StatusOr<Reply>>* promise) {
    return [promise](absl::StatusOr<Reply> reply) { promise->set_value(std::move(reply)); };
  }

  int port_ = 0;
  FakeStorageService service_;
  std::unique_ptr<grpc::Server> server_;
  TimerQueue timers_;
  Recorder recorder_;
  std::unique_ptr<StoragePeer> peer_;
};

TEST_F(GrpcStoragePeerTest, SendsBatchesInOrderAndReturnsAcks) {
  StoragePeer& peer = Peer();
  peer.OpenStream(recorder_.Events());
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.ups_ == 1; }));
  std::vector<std::string> sent;
  for (int i = 0; i < 500; ++i) {
    sent.push_back(std::string(static_cast<size_t>(1 + i * 37 % 3000), static_cast<char>(i)));
    peer.SendBatch(Batch(sent.back()));
  }
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.scl_ == Lsn(500); }));
  EXPECT_EQ(service_.batches(), sent);
}

TEST_F(GrpcStoragePeerTest, SendsProbesAmongBatchesAndReturnsAnswers) {
  StoragePeer& peer = Peer();
  peer.SendProbe({.round = 1});  // no stream yet: dropped
  peer.OpenStream(recorder_.Events());
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.ups_ == 1; }));
  const SegmentId segment{VolumeId(7), PgId(3)};
  for (uint64_t round = 2; round < 50; ++round) {
    peer.SendBatch(Batch("batch"));
    peer.SendProbe({.segment = segment, .round = round});
    ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.answer_.round == round; }));
  }
  EXPECT_EQ(recorder_.answer_.segment, segment);
  EXPECT_EQ(recorder_.answer_.epoch, VolumeEpoch(5));
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.scl_ == Lsn(48); }));
}

TEST_F(GrpcStoragePeerTest, ReconnectsToANodeThatWasAway) {
  StoragePeer& peer = Peer();
  peer.OpenStream(recorder_.Events());
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.ups_ == 1; }));
  StopServer();
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.downs_ == 1; }));
  EXPECT_FALSE(recorder_.why_.ok());
  peer.SendBatch(Batch("dropped"));
  StartServer();
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.ups_ == 2; }));
  peer.SendBatch(Batch("sent"));
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.scl_ == Lsn(1); }));
  EXPECT_EQ(service_.batches(), std::vector<std::string>({"sent"}));
}

TEST_F(GrpcStoragePeerTest, DropsTheStreamOfAPeerThatDoesNotRead) {
  service_.reads_ = false;
  StoragePeer& peer = Peer(/*max_queued_bytes=*/4 << 20);
  peer.OpenStream(recorder_.Events());
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.ups_ == 1; }));
  // More than the queue and what the connection itself takes in.
  const auto batch = Batch(std::string(1 << 20, 'x'));
  for (int i = 0; i < 64; ++i) peer.SendBatch(batch);
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.downs_ > 0; }));
  EXPECT_EQ(recorder_.why_.code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(GrpcStoragePeerTest, MapsErrorsAndAnswersCallsToNobody) {
  StoragePeer& peer = Peer();
  std::promise<absl::StatusOr<protocol::ReadPagesReply>> refused;
  peer.ReadPages({.pages = {PageNo(1)}}, absl::Seconds(30), Into(&refused));
  EXPECT_EQ(refused.get_future().get().status().code(), absl::StatusCode::kOutOfRange);
  std::promise<absl::StatusOr<protocol::NodeStatus>> status;
  peer.GetStatus(absl::Seconds(30), Into(&status));
  EXPECT_EQ(status.get_future().get()->zone, "az1");
  StopServer();
  std::promise<absl::StatusOr<protocol::NodeStatus>> nobody;
  peer.GetStatus(absl::Seconds(30), Into(&nobody));
  EXPECT_EQ(nobody.get_future().get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcStoragePeerTest, IsSilentAfterShutdown) {
  StoragePeer& peer = Peer();
  peer.OpenStream(recorder_.Events());
  ASSERT_TRUE(recorder_.WaitFor([&] { return recorder_.ups_ == 1; }));
  peer.SendBatch(Batch("one"));
  peer.Shutdown();
  const int downs = recorder_.downs_;
  std::promise<absl::StatusOr<protocol::NodeStatus>> late;
  peer.GetStatus(absl::Seconds(30), Into(&late));
  EXPECT_EQ(late.get_future().get().status().code(), absl::StatusCode::kUnavailable);
  StopServer();
  EXPECT_EQ(recorder_.downs_, downs);
}

}  // namespace
}  // namespace sextant::compute
