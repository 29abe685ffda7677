// StorageService over gRPC on loopback, through the generated client.
#include "storage-node/server/storage_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>

#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "common/rpc/tuned_grpc.h"
#include "common/testing/await.h"
#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"
#include "sextant/v1/storage.grpc.pb.h"
#include "storage-node/server/append_stream.h"
#include "storage-node/server/node_metrics.h"
#include "storage-node/server/node_testing.h"
#include "storage-node/store/memory_store.h"

namespace sextant::storage {
namespace {

using ::sextant::testing::RecordChain;
using ::testing::HasSubstr;
using namespace sextant::storage::testing;

constexpr VolumeId kVolume{7};
constexpr volume::Geometry kGeometry{.page_bytes = 512, .pages_per_pg = 16, .pg_count = 1};
constexpr PgId kPg{0};
constexpr SegmentId kSegment{kVolume, kPg};

class StorageServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StorageNodeOptions options;
    options.node = "az1-a";
    options.zone = "az1";
    auto node = StorageNode::Open(options, std::make_unique<MemoryStore>(disk_),
                                  [this](absl::Status error) { fatal_.set_value(error); });
    ASSERT_OK(node);
    node_ = *std::move(node);
    service_ = StorageService::Make(node_.get());
    auto server = rpc::Server::Start({.metrics_listen = ""}, {service_->service()}, nullptr);
    ASSERT_OK(server);
    server_ = *std::move(server);
    stub_ = v1::StorageService::NewStub(rpc::MakeChannel(server_->address()));
    ASSERT_OK(node_->CreateSegment(CreateRequest(kVolume, kGeometry, kPg)));
    ASSERT_OK(Raise(node_.get(), kSegment, 1));
  }
  void TearDown() override {
    service_->EndStreams();
    server_->Stop();
    if (!is_fatal_expected_) fatal_.set_value(absl::OkStatus());
    EXPECT_EQ(why_ended_.get().ok(), !is_fatal_expected_);
  }

  template <typename Request, typename Response, typename Call>
  absl::Status Invoke(Call call, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    return rpc::FromGrpc((stub_.get()->*call)(&context, request, response), "az1-a");
  }

  RecordChain chain_{kVolume, kGeometry};
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  std::promise<absl::Status> fatal_;  // set twice, it throws
  std::shared_future<absl::Status> why_ended_ = fatal_.get_future().share();
  bool is_fatal_expected_ = false;
  std::unique_ptr<StorageNode> node_;
  std::unique_ptr<StorageService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::StorageService::Stub> stub_;
};

TEST_F(StorageServiceTest, AppendsAndReadsBack) {
  Prng prng(2);
  for (int i = 0; i < 20; ++i) chain_.RandomMtr(&prng);
  grpc::ClientContext context;
  const auto stream = stub_->Append(&context);
  v1::AppendRequest request;
  request.set_batch(*chain_.Batch(kPg, Lsn(0)).bytes);
  ASSERT_TRUE(stream->Write(request));
  v1::AppendResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.acks_size(), 1);
  const protocol::AppendAck ack = rpc::FromProto(response.acks(0));
  EXPECT_OK(ack.status);
  EXPECT_EQ(ack.segment, kSegment);
  EXPECT_EQ(ack.scl, chain_.last_lsn());
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());

  const protocol::ReadPagesRequest pages{.segment = kSegment,
                                         .epoch = VolumeEpoch(1),
                                         .read_point = ack.scl,
                                         .pg_lsn = ack.scl,
                                         .pages = {PageNo(3), PageNo(4)}};
  v1::ReadPagesRequest wire;
  v1::ReadPagesResponse wire_reply;
  rpc::ToProto(pages, &wire);
  ASSERT_OK(Invoke(&v1::StorageService::Stub::ReadPages, wire, &wire_reply));
  const auto reply = rpc::FromProto(wire_reply, pages);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->pages[0].bytes, chain_.PageAt(PageNo(3), ack.scl));
  EXPECT_EQ(reply->pages[1].bytes, chain_.PageAt(PageNo(4), ack.scl));

  v1::ReadLogRequest log;
  v1::ReadLogResponse log_reply;
  rpc::ToProto(protocol::ReadLogRequest{.segment = kSegment, .epoch = VolumeEpoch(1)}, &log);
  ASSERT_OK(Invoke(&v1::StorageService::Stub::ReadLog, log, &log_reply));
  const auto records = rpc::FromProto(log_reply, kSegment);
  ASSERT_OK(records);
  EXPECT_EQ(records->records, chain_.records());
}

// Sends batches one by one.
class Appends {
 public:
  Appends(v1::StorageService::Stub* stub, RecordChain* chain)
      : chain_(*chain), stream_(stub->Append(&context_)) {}
  ~Appends() {
    stream_->WritesDone();
    stream_->Finish().IgnoreError();
  }
  void Send() {
    const Lsn before = chain_.last_lsn();
    chain_.RandomMtr(&prng_);
    v1::AppendRequest request;
    request.set_batch(*chain_.Batch(kPg, before).bytes);
    EXPECT_TRUE(stream_->Write(request));
  }
  void AwaitAck() {
    v1::AppendResponse response;
    ASSERT_TRUE(stream_->Read(&response));
    EXPECT_EQ(rpc::FromProto(response.acks(0)).scl, chain_.last_lsn());
  }

 private:
  RecordChain& chain_;
  Prng prng_{2};
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::AppendRequest, v1::AppendResponse>> stream_;
};

TEST_F(StorageServiceTest, ALoneBatchIsCommittedWhereItComesIn) {
  if (!rpc::TuneGrpc()) GTEST_SKIP() << "gRPC is left alone";
  // A creation is always the committer's own.
  std::mutex mutex;
  std::set<pid_t> threads;
  disk_->SetCommitHook([&](const StoreWrite&) {
    std::lock_guard lock(mutex);
    threads.insert(gettid());
  });
  ASSERT_OK(node_->CreateSegment(CreateRequest(VolumeId(8), kGeometry, kPg)));
  ASSERT_EQ(threads.size(), 1u);
  // A commit that seems slow, on a busy machine, has the next one go there too.
  Appends appends(stub_.get(), &chain_);
  for (int batch = 0; batch < 1'000 && threads.size() == 1; ++batch) {
    appends.Send();
    appends.AwaitAck();
  }
  std::lock_guard lock(mutex);
  EXPECT_EQ(threads.size(), 2u);
}

TEST_F(StorageServiceTest, ASlowDiskHoldsUpNothingButCommits) {
  std::promise<void> goes_on;
  const auto gone_on = goes_on.get_future().share();
  std::atomic<int> commits{0};
  disk_->SetCommitHook([&](const StoreWrite&) {
    // The first shows that the disk is slow; the second shows no end.
    if (++commits == 1) gone_on.wait_for(std::chrono::milliseconds(10));
    if (commits == 2) gone_on.wait();
  });
  Appends appends(stub_.get(), &chain_);
  appends.Send();
  appends.AwaitAck();
  appends.Send();
  EXPECT_TRUE(sextant::testing::Await([&] { return commits == 2; }));
  v1::NodeStatus status;
  EXPECT_OK(Invoke(&v1::StorageService::Stub::GetStatus, v1::GetStatusRequest(), &status));
  EXPECT_EQ(status.node(), "az1-a");
  goes_on.set_value();
  appends.AwaitAck();
}

TEST_F(StorageServiceTest, AFailedCommitWhereABatchComesInEndsTheNode) {
  is_fatal_expected_ = true;
  Appends appends(stub_.get(), &chain_);
  disk_->FailNextWrite(absl::UnavailableError("EIO"));
  appends.Send();
  EXPECT_EQ(why_ended_.get().message(), "EIO");
  EXPECT_THAT(node_->CreateSegment(CreateRequest(VolumeId(8), kGeometry, kPg)).status(),
              sextant::testing::HasCode(absl::StatusCode::kUnavailable));
  appends.Send();  // not answered, and not written
  v1::NodeStatus status;
  EXPECT_OK(Invoke(&v1::StorageService::Stub::GetStatus, v1::GetStatusRequest(), &status));
  service_->EndStreams();
}

TEST_F(StorageServiceTest, AnswersProbesWithThePromisedEpoch) {
  grpc::ClientContext context;
  const auto stream = stub_->Append(&context);
  const auto ask = [&](SegmentId segment, uint64_t round) {
    v1::AppendRequest request;
    rpc::ToProto({.segment = segment, .round = round}, request.add_probes());
    EXPECT_TRUE(stream->Write(request));
    v1::AppendResponse response;
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.answers_size(), 1);
    EXPECT_EQ(response.acks_size(), 0);
    const protocol::EpochAnswer answer = rpc::FromProto(response.answers(0));
    EXPECT_EQ(answer.segment, segment);
    EXPECT_EQ(answer.round, round);
    return answer.epoch;
  };
  EXPECT_EQ(ask(kSegment, 1), VolumeEpoch(1));
  ASSERT_OK(Raise(node_.get(), kSegment, 5));
  EXPECT_EQ(ask(kSegment, 2), VolumeEpoch(5));
  EXPECT_EQ(ask({VolumeId(99), kPg}, 3), VolumeEpoch(0));  // no such segment
}

TEST_F(StorageServiceTest, ManyBatchesOnOneStream) {
  grpc::ClientContext context;
  const auto stream = stub_->Append(&context);
  Prng prng(4);
  for (int i = 0; i < 300; ++i) {
    const Lsn before = chain_.last_lsn();
    chain_.RandomMtr(&prng);
    v1::AppendRequest request;
    request.set_batch(*chain_.Batch(kPg, before).bytes);
    ASSERT_TRUE(stream->Write(request));
  }
  v1::AppendResponse response;
  Lsn scl;
  while (scl < chain_.last_lsn() && stream->Read(&response)) {
    for (const v1::AppendAck& ack : response.acks()) scl = Lsn(ack.scl());
  }
  EXPECT_EQ(scl, chain_.last_lsn());
}

TEST_F(StorageServiceTest, StatusCreateAndRaise) {
  v1::NodeStatus status;
  ASSERT_OK(Invoke(&v1::StorageService::Stub::GetStatus, v1::GetStatusRequest(), &status));
  EXPECT_EQ(status.node(), "az1-a");
  EXPECT_EQ(status.segments_size(), 1);

  v1::CreateSegmentRequest create;
  v1::SegmentStatus segment;
  rpc::ToProto(CreateRequest(VolumeId(8), kGeometry, kPg), &create);
  EXPECT_OK(Invoke(&v1::StorageService::Stub::CreateSegment, create, &segment));

  v1::RaiseEpochRequest raise;
  rpc::ToProto(
      protocol::RaiseEpochRequest{
          .segment = kSegment, .epoch = VolumeEpoch(2), .writer = WriterId(5)},
      &raise);
  ASSERT_OK(Invoke(&v1::StorageService::Stub::RaiseEpoch, raise, &segment));
  EXPECT_EQ(segment.epoch(), 2u);
  raise.set_writer(6);
  EXPECT_THAT(Invoke(&v1::StorageService::Stub::RaiseEpoch, raise, &segment),
              ::sextant::testing::StatusIs(absl::StatusCode::kFailedPrecondition));
  raise.mutable_segment()->set_pg(9);
  EXPECT_THAT(Invoke(&v1::StorageService::Stub::RaiseEpoch, raise, &segment),
              ::sextant::testing::StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StorageServiceTest, StoppingEndsStreams) {
  grpc::ClientContext context;
  const auto stream = stub_->Append(&context);
  chain_.Write(PageNo(0), 0, "text");
  v1::AppendRequest request;
  v1::AppendResponse response;
  request.set_batch(*chain_.Batch(kPg, Lsn(0)).bytes);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  service_->EndStreams();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext late_context;
  const auto late = stub_->Append(&late_context);
  EXPECT_FALSE(late->Read(&response));
  EXPECT_EQ(late->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(StorageServiceTest, APeerThatVanishesLeavesNothing) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const auto stream = stub_->Append(&context);
    const Lsn before = chain_.last_lsn();
    chain_.Write(PageNo(i % 16), 0, "text");
    v1::AppendRequest request;
    request.set_batch(*chain_.Batch(kPg, before).bytes);
    ASSERT_TRUE(stream->Write(request));
    context.TryCancel();
    v1::AppendResponse response;
    while (stream->Read(&response)) {
    }
    (void)stream->Finish();
  }
  v1::NodeStatus status;
  EXPECT_OK(Invoke(&v1::StorageService::Stub::GetStatus, v1::GetStatusRequest(), &status));
}

TEST_F(StorageServiceTest, MetricsTellOfSegments) {
  const auto families = NodeMetrics(node_.get()).Collect();
  const auto scl = std::find_if(families.begin(), families.end(), [](const auto& family) {
    return family.name == "sextant_storage_segment_scl";
  });
  ASSERT_NE(scl, families.end());
  ASSERT_EQ(scl->metric.size(), 1u);
  EXPECT_EQ(scl->metric[0].label[0].value, "0000000000000007");
}

grpc::ByteBuffer InPieces(const std::string& bytes, size_t piece) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += piece) slices.emplace_back(bytes.substr(at, piece));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

TEST(ParseAppendRequestTest, TakesEveryLegalForm) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{127}, size_t{128}, size_t{70'000}}) {
    v1::AppendRequest request;
    request.set_batch(std::string(size, 'x'));
    const std::string bytes = request.SerializeAsString();
    const std::string odd = bytes + "\x50\x05";  // a field of some later version
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{100'000}}) {
      if (size > 1000 && piece == 1) continue;
      for (const std::string& form : {bytes, odd}) {
        const auto append = ParseAppendRequest(InPieces(form, piece));
        ASSERT_OK(append);
        EXPECT_EQ(*append->batch, request.batch());
        EXPECT_TRUE(append->probes.empty());
      }
    }
  }
}

TEST(ParseAppendRequestTest, TakesProbesWithAndWithoutABatch) {
  v1::AppendRequest request;
  rpc::ToProto({.segment = {VolumeId(7), PgId(0)}, .round = 9}, request.add_probes());
  for (const std::string batch : {"", "batch"}) {
    request.set_batch(batch);
    const auto append = ParseAppendRequest(InPieces(request.SerializeAsString(), 3));
    ASSERT_OK(append);
    EXPECT_EQ(append->batch == nullptr ? "" : *append->batch, batch);
    ASSERT_EQ(append->probes.size(), 1u);
    EXPECT_EQ(append->probes[0].segment, (SegmentId{VolumeId(7), PgId(0)}));
    EXPECT_EQ(append->probes[0].round, 9u);
  }
}

TEST(ParseAppendRequestTest, RefusesNoise) {
  for (const std::string noise : {"\x0a\x05shor", "\x0a", "\xff\xff\xff\xff\xff\xff\xff\xff"}) {
    EXPECT_FALSE(ParseAppendRequest(InPieces(noise, 3)).ok());
  }
  const std::string endless = "\x0a" + std::string(12, '\xff');
  EXPECT_FALSE(ParseAppendRequest(InPieces(endless, 20)).ok());
}

}  // namespace
}  // namespace sextant::storage
