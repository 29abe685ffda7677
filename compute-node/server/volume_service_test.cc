// VolumeService over gRPC, on a cluster in the same process: appends one by one and pipelined,
// reads at read points, tails from memory and from segments.
#include "compute-node/server/volume_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <future>
#include <map>
#include <vector>

#include "compute-node/server/writer_node_testing.h"
#include "embedded/embedded_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sextant/v1/compute.grpc.pb.h"

namespace sextant::server {
namespace {

using embedded::EmbeddedCluster;

constexpr absl::Duration kLong = absl::Seconds(60);

v1::AppendMtrRequest Edit(uint64_t id, uint64_t page, uint32_t offset, const std::string& bytes) {
  v1::AppendMtrRequest request;
  request.set_id(id);
  v1::PageEdit* edit = request.add_edits();
  edit->set_page(page);
  v1::PageRange* range = edit->mutable_ranges()->add_ranges();
  range->set_offset(offset);
  range->set_bytes(bytes);
  return request;
}

v1::AppendMtrBatch Batch(const std::vector<v1::AppendMtrRequest>& requests) {
  v1::AppendMtrBatch batch;
  for (const v1::AppendMtrRequest& request : requests) *batch.add_mtrs() = request;
  return batch;
}

class VolumeServiceTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(16 << 20); }
  void TearDown() override { Stop(); }

  // `ring_bytes`: of redo that the writer keeps in memory.
  void Start(uint64_t ring_bytes) {
    embedded::EmbeddedOptions options;
    options.geometry = {.page_bytes = 4096, .pages_per_pg = 64, .pg_count = 2};
    options.adjust_writer = [ring_bytes](compute::WriterVolumeOptions* writer) {
      writer->writer.growth.max_volume_bytes = 128 * 4096;  // it is that large already
      writer->redo_ring_bytes = ring_bytes;
    };
    cluster_ = *EmbeddedCluster::Create(std::move(options));
    ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
    ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
    backend_ = std::make_unique<VolumeBackend>(&cluster_->writer(), &cluster_->tickets(),
                                               VolumeServiceOptions{});
    service_ = std::make_unique<VolumeService>();
    service_->Attach(backend_.get());
    node_ = std::make_unique<WriterNode>(&cluster_->writer());
    compute_ = std::make_unique<ComputeService>(node_.get());
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    builder.RegisterService(compute_.get());
    server_ = builder.BuildAndStart();
    const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                             grpc::InsecureChannelCredentials());
    stub_ = v1::VolumeService::NewStub(channel);
    status_ = v1::ComputeService::NewStub(channel);
  }
  void Stop() {
    if (!server_) return;
    service_->Detach(backend_.get(), absl::UnavailableError("this node is shutting down"));
    cluster_->writer().Shutdown();  // answers what waits, so that the calls can end
    server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
    service_ = nullptr;
    compute_ = nullptr;
    cluster_ = nullptr;
  }

  grpc::Status Append(const v1::AppendMtrRequest& request, uint64_t* lsn = nullptr) {
    grpc::ClientContext context;
    v1::AppendMtrResponse response;
    const grpc::Status status = stub_->Append(&context, request, &response);
    if (lsn) *lsn = response.commit_lsn();
    return status;
  }
  grpc::Status Read(uint64_t page, std::optional<uint64_t> at, std::string* image) {
    grpc::ClientContext context;
    v1::ReadPageRequest request;
    request.set_page(page);
    if (at) request.set_read_point(*at);
    v1::ReadPageResponse response;
    const grpc::Status status = stub_->ReadPage(&context, request, &response);
    *image = response.image();
    return status;
  }

  // Tails from `after` until `count` records came, and applies nothing: just what came.
  std::vector<v1::TailRecord> Tail(uint64_t after, size_t count) {
    grpc::ClientContext context;
    v1::TailRequest request;
    request.set_after_lsn(after);
    auto reader = stub_->Tail(&context, request);
    std::vector<v1::TailRecord> records;
    v1::TailResponse response;
    while (records.size() < count && reader->Read(&response)) {
      EXPECT_TRUE(response.records().rbegin()->is_cpl());
      for (const auto& record : response.records()) records.push_back(record);
    }
    context.TryCancel();
    while (reader->Read(&response)) {
    }
    reader->Finish();
    return records;
  }

  std::unique_ptr<EmbeddedCluster> cluster_;
  std::unique_ptr<VolumeBackend> backend_;
  std::unique_ptr<VolumeService> service_;
  std::unique_ptr<WriterNode> node_;
  std::unique_ptr<ComputeService> compute_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::VolumeService::Stub> stub_;
  std::unique_ptr<v1::ComputeService::Stub> status_;
};

TEST_F(VolumeServiceTest, AppendsAndReadsAtReadPoints) {
  uint64_t first = 0, second = 0;
  ASSERT_TRUE(Append(Edit(1, 3, 10, "old"), &first).ok());
  ASSERT_TRUE(Append(Edit(2, 3, 10, "new"), &second).ok());
  EXPECT_GT(second, first);
  std::string image;
  ASSERT_TRUE(Read(3, std::nullopt, &image).ok());
  EXPECT_EQ(image.substr(10, 3), "new");
  ASSERT_TRUE(Read(3, first, &image).ok());
  EXPECT_EQ(image.substr(10, 3), "old");
}

TEST_F(VolumeServiceTest, RefusesWhatIsWrongAndAppendsNothing) {
  const auto head = cluster_->writer().head();
  EXPECT_EQ(Append({}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Append(Edit(1, 3, 4090, "beyond the page")).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Append(Edit(1, 128, 0, "beyond the end")).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  v1::AppendMtrRequest twice = Edit(1, 3, 0, "a");
  *twice.add_edits() = twice.edits(0);
  EXPECT_EQ(Append(twice).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::string image;
  EXPECT_EQ(Read(128, std::nullopt, &image).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Read(1, 1u << 30, &image).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(cluster_->writer().head(), head);
}

TEST_F(VolumeServiceTest, AReaderServesWhatItShowsAndRefusesTheRest) {
  uint64_t first = 0, second = 0;
  ASSERT_TRUE(Append(Edit(1, 3, 10, "old"), &first).ok());
  ASSERT_TRUE(Append(Edit(2, 3, 10, "new"), &second).ok());
  ASSERT_EQ(cluster_->StartReader("reader-1", kLong), absl::OkStatus());
  compute::ReaderVolume& reader = cluster_->reader("reader-1");
  std::promise<absl::Status> shown;
  reader.WhenDurable(Lsn(second), kLong, [&](absl::Status status) { shown.set_value(status); });
  ASSERT_EQ(shown.get_future().get(), absl::OkStatus());
  service_->Detach(backend_.get(), absl::UnavailableError("a reader comes"));
  service_->AwaitUnused(backend_.get(), kLong);
  VolumeBackend of_reader(&reader, {});
  service_->Attach(&of_reader);

  grpc::ClientContext context;
  v1::GetVolumeResponse volume;
  ASSERT_TRUE(stub_->GetVolume(&context, {}, &volume).ok());
  EXPECT_EQ(volume.volume(), cluster_->writer().volume().value());
  EXPECT_EQ(volume.epoch(), 1u);
  EXPECT_EQ(volume.page_count(), 128u);
  EXPECT_EQ(volume.vdl(), second);
  std::string image;
  ASSERT_TRUE(Read(3, std::nullopt, &image).ok());
  EXPECT_EQ(image.substr(10, 3), "new");
  ASSERT_TRUE(Read(3, first, &image).ok());
  EXPECT_EQ(image.substr(10, 3), "old");
  EXPECT_EQ(Read(128, std::nullopt, &image).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Read(3, second + 1, &image).error_code(), grpc::StatusCode::OUT_OF_RANGE);

  const grpc::Status refused = Append(Edit(3, 3, 10, "odd"));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), ::testing::HasSubstr("the writer is writer"));
  grpc::ClientContext of_stream, of_tail;
  auto stream = stub_->AppendStream(&of_stream);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  auto tail = stub_->Tail(&of_tail, {});
  EXPECT_EQ(tail->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);

  service_->Detach(&of_reader, absl::UnavailableError("the reader goes"));
  service_->AwaitUnused(&of_reader, kLong);
  service_->Attach(backend_.get());
}

TEST_F(VolumeServiceTest, AStreamAnswersInOrderAndGoesOnAfterAnError) {
  constexpr uint64_t kCount = 300;
  // Requests 7 and 211 cannot be appended: the one comes alone, the other amid a message of many.
  const auto edit = [](uint64_t id) {
    return Edit(id, id == 7 || id == 211 ? 999 : id % 128, 0, std::to_string(id));
  };
  grpc::ClientContext context;
  auto stream = stub_->AppendStream(&context);
  for (uint64_t id = 1; id <= 200; ++id) ASSERT_TRUE(stream->Write(Batch({edit(id)})));
  ASSERT_TRUE(stream->Write({}));  // legal, and nothing to do
  std::vector<v1::AppendMtrRequest> rest;
  for (uint64_t id = 201; id <= kCount; ++id) rest.push_back(edit(id));
  rest[50].set_timeout_ms(50'000);  // waits for itself
  ASSERT_TRUE(stream->Write(Batch(rest)));
  stream->WritesDone();
  v1::AppendMtrAnswers message;
  uint64_t id = 0, last = 0;
  while (stream->Read(&message)) {
    for (const v1::AppendMtrResponse& response : message.answers()) {
      EXPECT_EQ(response.id(), ++id);
      EXPECT_EQ(response.code() == 0, id != 7 && id != 211) << response.message();
      if (response.code() != 0) continue;
      EXPECT_GT(response.commit_lsn(), last);
      last = response.commit_lsn();
    }
  }
  EXPECT_EQ(id, kCount);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_GE(cluster_->writer().vdl(), Lsn(last));
}

TEST_F(VolumeServiceTest, RequestsOfOneMessageShareABatchOfRedo) {
  constexpr int kRequests = 50;
  ASSERT_TRUE(Append(Edit(0, 1, 0, "the page is cached from here on")).ok());
  // Sends them as one message and counts the batches of redo that they left in.
  const auto send = [&]() -> uint64_t {
    const uint64_t before = cluster_->writer().status().counters.batches;
    std::vector<v1::AppendMtrRequest> edits;
    for (int id = 1; id <= kRequests; ++id) edits.push_back(Edit(id, 1, 0, std::to_string(id)));
    grpc::ClientContext context;
    auto stream = stub_->AppendStream(&context);
    EXPECT_TRUE(stream->Write(Batch(edits)));
    stream->WritesDone();
    v1::AppendMtrAnswers message;
    int answers = 0;
    while (stream->Read(&message)) answers += message.answers_size();
    EXPECT_EQ(answers, kRequests);
    EXPECT_TRUE(stream->Finish().ok());
    return cluster_->writer().status().counters.batches - before;
  };
  // A tick or a late acknowledgement in between sends what has gathered so far, but not each time.
  // Requests that do not gather never share one: the first of them leaves by itself.
  uint64_t fewest = kRequests;
  for (int message = 0; message < 20 && fewest > 1; ++message) fewest = std::min(fewest, send());
  EXPECT_EQ(fewest, 1u);
  std::string image;
  ASSERT_TRUE(Read(1, std::nullopt, &image).ok());
  EXPECT_EQ(image.substr(0, 2), "50");
}

TEST_F(VolumeServiceTest, AClientThatLeavesInTheMiddleHoldsNothingUp) {
  for (int round = 0; round < 5; ++round) {
    grpc::ClientContext context;
    auto stream = stub_->AppendStream(&context);
    for (uint64_t id = 1; id <= 100; ++id) stream->Write(Batch({Edit(id, id, 0, "x")}));
    context.TryCancel();
    stream->Finish();
  }
  EXPECT_TRUE(Append(Edit(1, 1, 0, "on")).ok());
}

TEST_F(VolumeServiceTest, TailsWholeMiniTransactionsFromMemory) {
  v1::AppendMtrRequest both = Edit(1, 1, 0, "both");
  *both.add_edits() = Edit(1, 100, 0, "both").edits(0);
  uint64_t first = 0;
  ASSERT_TRUE(Append(both, &first).ok());
  ASSERT_TRUE(Append(Edit(2, 2, 0, "two")).ok());
  const auto records = Tail(0, 3);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_FALSE(records[0].is_cpl());
  EXPECT_EQ(records[1].lsn(), first);
  EXPECT_EQ(Tail(first, 1)[0].page(), 2u);
}

TEST_F(VolumeServiceTest, TailsFromSegmentsWhatFellOutOfMemory) {
  Stop();
  Start(/*ring_bytes=*/2000);
  std::map<uint64_t, uint64_t> last_of_page;
  for (uint64_t i = 0; i < 200; ++i) {
    v1::AppendMtrRequest both = Edit(i, i % 64, 0, std::to_string(i));
    *both.add_edits() = Edit(i, 64 + i % 64, 0, std::to_string(i)).edits(0);
    ASSERT_TRUE(Append(both).ok());
  }
  const auto records = Tail(0, 400);
  ASSERT_EQ(records.size(), 400u);
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].is_cpl(), i % 2 == 1);
    if (i > 0) {
      EXPECT_EQ(records[i].lsn(), records[i - 1].lsn() + 1);
    }
    EXPECT_EQ(records[i].prev_page_lsn(), last_of_page[records[i].page()]);
    last_of_page[records[i].page()] = records[i].lsn();
  }
}

TEST_F(VolumeServiceTest, AnOutcomeIsUnknownWithoutAQuorumAndStatusShowsTheMembers) {
  for (const char* node : {"az1-a", "az1-b", "az2-a"}) cluster_->KillNode(node);
  grpc::ClientContext context;
  v1::ComputeStatus status;
  ASSERT_TRUE(status_->GetStatus(&context, {}, &status).ok());
  EXPECT_EQ(status.phase(), "open");
  EXPECT_EQ(status.pgs_size(), 2);
  EXPECT_EQ(status.pgs(0).members_size(), 6);
  // Three of six: what is appended stays unknown to the client within its own time.
  v1::AppendMtrRequest request = Edit(1, 1, 0, "late");
  request.set_timeout_ms(50);
  EXPECT_EQ(Append(request).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

}  // namespace
}  // namespace sextant::server
