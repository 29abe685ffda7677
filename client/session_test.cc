// Sessions against real SqlServices on one volume in memory: two nodes, one of which is the writer
// at a time; nodes that are promoted, killed and silent; and a node that breaks off where it hurts.
#include "client/session.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/testing/await.h"
#include "compute-node/server/sql_service.h"
#include "compute-node/sql/testing/memory_volume.h"
#include "sextant/v1/compute.grpc.pb.h"

namespace sextant::client {
namespace {

using ::testing::HasSubstr;

// One compute node, over a volume that it shares with others.
class FakeNode : public v1::ComputeService::Service {
 public:
  FakeNode(std::string name, sql::MemoryVolume* volume) : name_(std::move(name)), volume_(*volume) {
    StartServer();
  }
  ~FakeNode() override { Kill(); }

  const std::string& address() const { return address_; }
  void Know(std::vector<FakeNode*> others) { others_ = std::move(others); }

  // Ends the role that it has, as a promotion does, and takes another: "writer", "reader", or ""
  // for none.
  void Become(const std::string& role, uint64_t epoch) {
    EndRole();
    {
      std::lock_guard lock(mutex_);
      role_ = role;
      epoch_ = epoch;
    }
    if (role.empty()) return;
    tickets_ = std::make_unique<compute::WriteTicketQueue>();
    sql::SqlOptions options{.threads = 2, .is_read_only = role == "reader"};
    options.find_writer = [this] { return FindWriter(); };
    executor_ = std::make_unique<sql::SqlExecutor>(&volume_, tickets_.get(), options);
    sql_.Attach(executor_.get());
  }
  // Connections break; nothing is said.
  void Kill() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    EndRole();
    server_ = nullptr;
  }
  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&sql_);
    builder.RegisterService(static_cast<v1::ComputeService::Service*>(this));
    server_ = builder.BuildAndStart();
    address_ = Text("127.0.0.1:", port_);
  }

  grpc::Status GetStatus(grpc::ServerContext*, const v1::ComputeStatusRequest*,
                         v1::ComputeStatus* status) override {
    ++questions_;
    std::lock_guard lock(mutex_);
    status->set_node(name_);
    status->set_role(role_);
    status->set_phase(role_ == "writer" ? "open" : "following");
    status->set_epoch(epoch_);
    for (const FakeNode* other : others_) {
      v1::ComputeNodeAddress* named = status->add_compute_nodes();
      named->set_node(other->name_);
      named->set_address(other->address_);
    }
    return grpc::Status::OK;
  }
  // How often it was asked for its status.
  int questions() const { return questions_; }
  bool is_writer() const {
    std::lock_guard lock(mutex_);
    return role_ == "writer";
  }

 private:
  void EndRole() {
    if (executor_ == nullptr) return;
    const absl::Status why = absl::UnavailableError("this node changes its role");
    sql_.Detach(why);
    tickets_->Shutdown();
    executor_->CloseSessions(why);
    sql_.AwaitUnused(absl::Seconds(1));
    executor_->Stop();
    executor_ = nullptr;
  }
  std::optional<sql::NodeAddress> FindWriter() const {
    for (const FakeNode* other : others_) {
      if (other->is_writer()) return sql::NodeAddress{other->name_, other->address_};
    }
    return std::nullopt;
  }

  const std::string name_;
  sql::MemoryVolume& volume_;
  std::unique_ptr<compute::WriteTicketQueue> tickets_;
  server::SqlService sql_;
  std::unique_ptr<sql::SqlExecutor> executor_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::string address_;
  std::vector<FakeNode*> others_;
  mutable std::mutex mutex_;
  std::string role_;
  uint64_t epoch_ = 0;
  std::atomic<int> questions_{0};
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    a_.Know({&a_, &b_});
    b_.Know({&a_, &b_});
    a_.Become("writer", 1);
    b_.Become("reader", 1);
  }
  std::string One(Session& session, const std::string& sql) {
    const absl::StatusOr<Value> value = session.QueryOne(sql);
    return value.ok() ? ToText(*value) : value.status().ToString();
  }

  sql::MemoryVolume volume_;
  FakeNode a_{"a", &volume_}, b_{"b", &volume_};
  Client client_{{a_.address()}};
};

TEST_F(SessionTest, ValuesThereAndBack) {
  const auto session = client_.NewSession();
  const auto reply = session->Execute("SELECT ?, ?, ?, ?, ? AS last",
                                      {std::monostate{}, int64_t{-5}, 2.5, "grüß",
                                       Blob{std::string("\0\xff", 2)}});
  ASSERT_TRUE(reply.ok()) << reply.status();
  const Row expected = {std::monostate{}, int64_t{-5}, 2.5, "grüß", Blob{std::string("\0\xff", 2)}};
  EXPECT_EQ(reply->rows()[0], expected);
  EXPECT_EQ(reply->results[0].columns[4], "last");
  EXPECT_FALSE(session->QueryOne("SELECT 1 WHERE 0").ok());
  EXPECT_EQ(session->Execute("SELEC 1").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SessionTest, FindsTheWriterThroughAReader) {
  Client by_reader({b_.address()});
  const auto session = by_reader.NewSession();
  ASSERT_TRUE(session->Execute("CREATE TABLE t(a)").ok());
  EXPECT_EQ(session->address(), a_.address());
}

TEST_F(SessionTest, ReadsOnReadersAndWritesOnTheWriter) {
  const auto session = client_.NewSession({.preference = Preference::kReader});
  ASSERT_TRUE(session->Execute("CREATE TABLE t(a)").ok());
  ASSERT_TRUE(session->Execute("INSERT INTO t VALUES(1)").ok());
  EXPECT_EQ(session->address(), a_.address());
  EXPECT_EQ(One(*session, "SELECT count(*) FROM t"), "1");
  // The first question may have been asked before the reader was heard of.
  EXPECT_EQ(session->address(), b_.address());
}

TEST_F(SessionTest, FollowsAPromotion) {
  const auto session = client_.NewSession();
  ASSERT_TRUE(session->Execute("CREATE TABLE t(a)").ok());
  a_.Become("reader", 1);
  b_.Become("writer", 2);
  ASSERT_TRUE(session->Execute("INSERT INTO t VALUES(1)").ok());
  EXPECT_EQ(session->address(), b_.address());
  EXPECT_EQ(session->moves(), 1u);
  EXPECT_EQ(One(*session, "SELECT count(*) FROM t"), "1");
}

TEST_F(SessionTest, WaitsForANodeToBecomeTheWriter) {
  const auto session = client_.NewSession();
  ASSERT_TRUE(session->Execute("CREATE TABLE t(a)").ok());
  a_.Kill();
  const int questions = b_.questions();
  std::thread promotion([&] {
    EXPECT_TRUE(sextant::testing::Await([&] { return b_.questions() > questions + 1; }));
    b_.Become("writer", 2);
  });
  const absl::Status inserted = session->Execute("INSERT INTO t VALUES(1)").status();
  promotion.join();
  EXPECT_EQ(inserted, absl::OkStatus());
  EXPECT_EQ(One(*session, "SELECT count(*) FROM t"), "1");
}

TEST_F(SessionTest, ATransactionEndsWithItsNodeAndIsStartedOver) {
  const auto session = client_.NewSession();
  ASSERT_TRUE(session->Execute("CREATE TABLE t(a)").ok());
  ASSERT_TRUE(session->Execute("BEGIN").ok());
  ASSERT_TRUE(session->Execute("INSERT INTO t VALUES(1)").ok());
  a_.Become("reader", 1);
  b_.Become("writer", 2);
  const absl::Status lost = session->Execute("INSERT INTO t VALUES(2)").status();
  EXPECT_EQ(lost.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(lost.message()), HasSubstr("rolled back"));
  EXPECT_TRUE(InfoOf(lost).is_retriable);
  EXPECT_FALSE(IsOutcomeUnknown(lost));
  EXPECT_FALSE(session->in_transaction());
  int attempts = 0;
  const absl::Status done = session->Transaction([&](Session& s) {
    if (++attempts == 1) {
      b_.Become("reader", 2);
      a_.Become("writer", 3);
    }
    return s.Execute("INSERT INTO t VALUES(3)").status();
  });
  EXPECT_EQ(done, absl::OkStatus());
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(One(*session, "SELECT group_concat(a) FROM t"), "3");
}

TEST_F(SessionTest, TokensLetOthersReadTheseWrites) {
  const auto writing = client_.NewSession();
  ASSERT_TRUE(writing->Execute("CREATE TABLE t(a)").ok());
  const auto reading = client_.NewSession({.preference = Preference::kReader});
  reading->Observe(writing->token());
  EXPECT_EQ(One(*reading, "SELECT count(*) FROM t"), "0");
  EXPECT_GE(reading->token(), writing->token());
  // One that no node has reached yet: an error in time, not older data.
  reading->Observe(writing->token() + 1000);
  std::atomic<bool> is_answered{false};
  std::thread time([&] {
    while (!is_answered) volume_.ExpireWaits();
  });
  const absl::Status late = reading->Execute("SELECT count(*) FROM t").status();
  is_answered = true;
  time.join();
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(late.message()), HasSubstr("has not reached LSN"));
}

TEST_F(SessionTest, CancelEndsACall) {
  const auto session = client_.NewSession();
  ASSERT_TRUE(session->Execute("SELECT 1").ok());
  std::atomic<bool> is_ended{false};
  std::thread cancel([&] {
    while (!is_ended) session->Cancel();
  });
  const absl::Status ended =
      session
          ->Execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
                    "count(*) FROM n")
          .status();
  is_ended = true;
  cancel.join();
  EXPECT_EQ(ended.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(One(*session, "SELECT 1"), "1") << "the session goes on";
}

TEST_F(SessionTest, SaysWhatNodesSayWhereThereIsNoWriter) {
  a_.Become("", 1);
  const auto session =
      client_.NewSession({.connect_patience = absl::Milliseconds(50)});
  const absl::Status none = session->Execute("SELECT 1").status();
  EXPECT_EQ(none.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(none.message()), HasSubstr(a_.address()));
  EXPECT_TRUE(InfoOf(none).is_retriable);
}

// Takes one request and breaks the connection off, like a process that dies.
class BreakingService : public v1::SqlService::Service {
 public:
  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<v1::SqlResponse, v1::SqlRequest>* stream) override {
    context->AddInitialMetadata("sextant-session", "open");
    stream->SendInitialMetadata();
    v1::SqlRequest request;
    while (stream->Read(&request)) {
      ++requests;
      if (request.statements(0).sql() != "BEGIN" && request.statements(0).sql() != "SELECT 1") {
        return {grpc::StatusCode::UNAVAILABLE, "broken off"};
      }
      if (request.statements(0).sql() == "SELECT 1" && ++reads < 3) {
        return {grpc::StatusCode::UNAVAILABLE, "broken off"};
      }
      v1::SqlResponse response;
      response.set_id(request.id());
      response.set_in_transaction(request.statements(0).sql() == "BEGIN");
      response.set_is_last(true);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  std::atomic<int> requests{0}, reads{0};
};

class BrokenOff : public ::testing::Test {
 protected:
  BrokenOff() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    client_ = std::make_unique<Client>(std::vector<std::string>{Text("127.0.0.1:", port)});
  }
  BreakingService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(BrokenOff, AWriteIsUnknownAndSentOnce) {
  const auto session = client_->NewSession();
  const absl::Status status = session->Execute("INSERT INTO t VALUES(1)").status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
  EXPECT_FALSE(InfoOf(status).is_retriable);
  EXPECT_EQ(service_.requests, 1);
}

TEST_F(BrokenOff, AReadIsRepeated) {
  EXPECT_TRUE(client_->NewSession()->Execute("SELECT 1").ok());
  EXPECT_EQ(service_.requests, 3);
}

TEST_F(BrokenOff, OnlyACommitLeavesATransactionInDoubt) {
  const auto session = client_->NewSession();
  ASSERT_TRUE(session->Execute("BEGIN").ok());
  absl::Status status = session->Execute("INSERT INTO t VALUES(1)").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_FALSE(IsOutcomeUnknown(status));
  ASSERT_TRUE(session->Execute("BEGIN").ok());
  status = session->Execute("COMMIT").status();
  EXPECT_TRUE(IsOutcomeUnknown(status)) << status;
}

}  // namespace
}  // namespace sextant::client
