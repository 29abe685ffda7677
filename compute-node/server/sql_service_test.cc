// SqlService over a real gRPC channel, on a volume in memory.
#include "compute-node/server/sql_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/sql_client.h"

namespace sextant::server {
namespace {

using ::testing::HasSubstr;

v1::SqlRequest MakeRequest(const std::string& sql, bool is_script = false) {
  v1::SqlRequest request;
  v1::SqlStatement* statement = request.add_statements();
  statement->set_sql(sql);
  statement->set_script(is_script);
  return request;
}

class SqlServiceTest : public ::testing::Test {
 protected:
  SqlServiceTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::SqlService::NewStub(server_->InProcessChannel({}));
  }
  ~SqlServiceTest() override {
    Close();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  }
  void Open() {
    executor_ =
        std::make_unique<sql::SqlExecutor>(&volume_, &tickets_, sql::SqlOptions{.threads = 2});
    service_.Attach(executor_.get());
  }
  void Close() {
    service_.Detach(absl::UnavailableError("this node is shutting down"));
    executor_.reset();
  }
  v1::SqlResponse Batch(const v1::SqlRequest& request) {
    grpc::ClientContext context;
    v1::SqlResponse response;
    const grpc::Status status = stub_->Batch(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  sql::MemoryVolume volume_;
  compute::WriteTicketQueue tickets_;
  SqlService service_;
  std::unique_ptr<sql::SqlExecutor> executor_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::SqlService::Stub> stub_;
};

TEST_F(SqlServiceTest, UnavailableUntilTheVolumeIsOpen) {
  grpc::ClientContext context;
  v1::SqlResponse response;
  grpc::Status status = stub_->Batch(&context, MakeRequest("SELECT 1"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("not open"));
  grpc::ClientContext stream_context;
  auto stream = stub_->Session(&stream_context);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  Open();
  EXPECT_EQ(Batch(MakeRequest("SELECT 1")).results(0).rows(0).values(0).integer(), 1);
}

TEST_F(SqlServiceTest, ValuesThereAndBack) {
  Open();
  v1::SqlRequest request = MakeRequest("SELECT ?, ?, ?, ?, ?, CAST(x'ff' AS TEXT)");
  request.set_id(77);
  v1::SqlStatement* statement = request.mutable_statements(0);
  statement->add_parameters()->set_null(true);
  statement->add_parameters()->set_integer(-5);
  statement->add_parameters()->set_real(2.5);
  statement->add_parameters()->set_text("grüß");
  statement->add_parameters()->set_blob(std::string("\0\xff", 2));
  const v1::SqlResponse response = Batch(request);
  EXPECT_EQ(response.id(), 77u);
  EXPECT_TRUE(response.is_last());
  const v1::Row& row = response.results(0).rows(0);
  EXPECT_TRUE(row.values(0).null());
  EXPECT_EQ(row.values(1).integer(), -5);
  EXPECT_EQ(row.values(2).real(), 2.5);
  EXPECT_EQ(row.values(3).text(), "grüß");
  EXPECT_EQ(row.values(4).blob(), std::string("\0\xff", 2));
  EXPECT_EQ(row.values(5).blob(), "\xff") << "text that is no UTF-8 goes as bytes";
}

TEST_F(SqlServiceTest, SessionKeepsItsTransactionAcrossRequests) {
  Open();
  grpc::ClientContext context;
  auto stream = stub_->Session(&context);
  const auto ask = [&stream](const v1::SqlRequest& request) {
    EXPECT_TRUE(stream->Write(request));
    v1::SqlResponse response;
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_TRUE(response.is_last());
    return response;
  };
  ask(MakeRequest("CREATE TABLE t(a UNIQUE)"));
  EXPECT_TRUE(ask(MakeRequest("BEGIN")).in_transaction());
  EXPECT_EQ(ask(MakeRequest("INSERT INTO t VALUES(1)")).results(0).changes(), 1);
  const v1::SqlResponse error = ask(MakeRequest("INSERT INTO t VALUES(1)"));
  EXPECT_EQ(error.error().code(), static_cast<uint32_t>(absl::StatusCode::kAlreadyExists));
  EXPECT_TRUE(error.in_transaction());
  const v1::SqlResponse commit = ask(MakeRequest("COMMIT"));
  EXPECT_FALSE(commit.has_error()) << commit.error().message();
  EXPECT_EQ(commit.commit_lsn(), volume_.head().value());
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(Batch(MakeRequest("SELECT count(*) FROM t")).results(0).rows(0).values(0).integer(), 1);
}

TEST_F(SqlServiceTest, RequestsMayBeSentAhead) {
  Open();
  Batch(MakeRequest("CREATE TABLE t(a)"));
  grpc::ClientContext context;
  auto stream = stub_->Session(&context);
  constexpr uint64_t kRequests = 100;
  std::thread writer([&stream] {
    for (uint64_t i = 1; i <= kRequests; ++i) {
      v1::SqlRequest request = MakeRequest(Text("INSERT INTO t VALUES(", i, ")"));
      request.set_id(i);
      stream->Write(request);
    }
    stream->WritesDone();
  });
  v1::SqlResponse response;
  uint64_t answered = 0;
  while (stream->Read(&response)) EXPECT_EQ(response.id(), ++answered);
  writer.join();
  EXPECT_EQ(answered, kRequests);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(SqlServiceTest, LargeResultsComeInManyResponses) {
  Open();
  grpc::ClientContext context;
  auto stream = stub_->Session(&context);
  stream->Write(
      MakeRequest("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
                  "SELECT i, hex(randomblob(100)) FROM n"));
  stream->WritesDone();
  v1::SqlResponse response;
  int rows = 0, responses = 0;
  bool is_last = false;
  while (stream->Read(&response)) {
    ++responses;
    is_last = response.is_last();
    for (const v1::StatementResult& result : response.results()) rows += result.rows_size();
  }
  EXPECT_EQ(rows, 20000);
  EXPECT_GT(responses, 10);
  EXPECT_TRUE(is_last);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(SqlServiceTest, ClientsThatGoAwayLeaveNothingBehind) {
  Open();
  Batch(MakeRequest("CREATE TABLE t(a)"));
  {
    grpc::ClientContext context;
    auto stream = stub_->Session(&context);
    stream->Write(MakeRequest("BEGIN; INSERT INTO t VALUES(1)", /*is_script=*/true));
    v1::SqlResponse response;
    ASSERT_TRUE(stream->Read(&response));
    stream->Write(
        MakeRequest("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
                    "INSERT INTO t SELECT i FROM n"));
    context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_FALSE(Batch(MakeRequest("INSERT INTO t VALUES(2)")).has_error());
  EXPECT_EQ(Batch(MakeRequest("SELECT sum(a) FROM t")).results(0).rows(0).values(0).integer(), 2);
  EXPECT_TRUE(sql::Eventually([this] { return executor_->open_sessions() == 0; }));
}

TEST_F(SqlServiceTest, StoppingAnswersWhoeverIsConnected) {
  Open();
  grpc::ClientContext context;
  auto stream = stub_->Session(&context);
  stream->Write(MakeRequest("BEGIN; CREATE TABLE t(a)", /*is_script=*/true));
  v1::SqlResponse response;
  ASSERT_TRUE(stream->Read(&response));
  Close();
  EXPECT_EQ(volume_.open_views(), 0u);
  // The COMMIT is not run, and the stream's end says so.
  stream->Write(MakeRequest("COMMIT"));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(context.GetServerTrailingMetadata().count("sextant-unanswered"), 1u);
}

TEST_F(SqlServiceTest, ADetachedServiceEndsIdleSessionsAndSaysThatNothingWasLost) {
  Open();
  grpc::ClientContext context;
  auto stream = stub_->Session(&context);
  v1::SqlResponse response;
  ASSERT_TRUE(stream->Write(MakeRequest("BEGIN; CREATE TABLE t(a)", /*is_script=*/true)));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.in_transaction());
  service_.Detach(absl::UnavailableError("this node was promoted"));
  // The server ends it by itself, and with it the transaction.
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status end = stream->Finish();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(end.error_message(), HasSubstr("promoted"));
  EXPECT_EQ(context.GetServerTrailingMetadata().count("sextant-unanswered"), 1u);
  service_.AwaitUnused(absl::InfiniteDuration());
  executor_->Stop();
  grpc::ClientContext late;
  EXPECT_THAT(stub_->Session(&late)->Finish().error_message(), HasSubstr("promoted"));
  Open();
  EXPECT_EQ(Batch(MakeRequest("SELECT count(*) FROM sqlite_schema"))
                .results(0)
                .rows(0)
                .values(0)
                .integer(),
            0);
}

TEST_F(SqlServiceTest, ADetachedServiceStopsARunningStatementWithTheReason) {
  Open();
  grpc::ClientContext context;
  auto stream = stub_->Session(&context);
  ASSERT_TRUE(stream->Write(MakeRequest(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")));
  v1::SqlRequest second = MakeRequest("SELECT 2");
  ASSERT_TRUE(stream->Write(second));
  const absl::Status why = absl::UnavailableError("this node was promoted");
  service_.Detach(why);
  executor_->CloseSessions(why);
  v1::SqlResponse response;
  // The first is answered if it was begun; the second never was, and the client is told.
  if (stream->Read(&response)) {
    EXPECT_THAT(response.error().message(), HasSubstr("promoted"));
    EXPECT_TRUE(response.error().is_retriable());
    EXPECT_FALSE(stream->Read(&response));
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace sextant::server
