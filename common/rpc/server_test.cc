// A server comes up on picked ports with health, reflection, metrics and a ready file, and stops.
#include "common/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/rpc/channel.h"
#include "common/testing/temporary_folder.h"
#include "sextant/v1/storage.grpc.pb.h"

namespace sextant::rpc {
namespace {

using ::testing::HasSubstr;

class StatusService : public v1::StorageService::Service {
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::NodeStatus* reply) override {
    reply->set_node("az1-a");
    return grpc::Status::OK;
  }
};

// One unary call by its full method name; request and reply as serialised protobuf.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request, std::string* reply) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const grpc::Slice slice(request);
  const grpc::ByteBuffer buffer(&slice, 1);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, method, buffer, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (status.ok()) {
    grpc::Slice whole;
    EXPECT_TRUE(answer.DumpToSingleSlice(&whole).ok());
    reply->assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  }
  return status;
}

// grpc.health.v1.HealthCheckResponse.status: field 1, varint; 1 = SERVING, 2 = NOT_SERVING.
int Health(const std::shared_ptr<grpc::Channel>& channel) {
  std::string reply;
  const grpc::Status status = CallRaw(channel, "/grpc.health.v1.Health/Check", "", &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return reply.size() == 2 && reply[0] == 0x08 ? reply[1] : -1;
}

class ServerTest : public ::testing::Test {
 protected:
  sextant::testing::TemporaryFolder folder_;
  const std::filesystem::path directory_ = folder_.path();
  StatusService service_;
};

TEST_F(ServerTest, ServesCallsHealthMetricsAndReadyFile) {
  auto registry = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter().Name("sextant_test_total").Register(*registry).Add({}).Increment(3);
  const ServerOptions options{.ready_file = directory_ / "ready.json"};
  auto server = Server::Start(options, {&service_}, registry);
  ASSERT_TRUE(server.ok()) << server.status();

  auto channel = MakeChannel((*server)->address());
  EXPECT_EQ(Health(channel), 2);
  (*server)->SetReady(true);
  EXPECT_EQ(Health(channel), 1);

  auto stub = v1::StorageService::NewStub(channel);
  grpc::ClientContext context;
  v1::NodeStatus reply;
  ASSERT_TRUE(stub->GetStatus(&context, {}, &reply).ok());
  EXPECT_EQ(reply.node(), "az1-a");

  httplib::Client http("http://" + (*server)->metrics_address());
  auto metrics = http.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_THAT(metrics->body, HasSubstr("sextant_test_total 3"));

  std::ifstream file(options.ready_file);
  const auto ready = nlohmann::json::parse(file);
  EXPECT_EQ(ready["listen"], (*server)->address());
  EXPECT_EQ(ready["metrics"], (*server)->metrics_address());
  EXPECT_EQ(ready["pid"], getpid());
}

TEST_F(ServerTest, TwoServersOfOneProcessDoNotShareAPort) {
  auto first = Server::Start({}, {&service_}, nullptr);
  ASSERT_TRUE(first.ok()) << first.status();
  StatusService other;
  auto second = Server::Start({.listen = (*first)->address()}, {&other}, nullptr);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().ToString(), HasSubstr((*first)->address()));

  auto third = Server::Start({.metrics_listen = (*first)->metrics_address()}, {&other}, nullptr);
  EXPECT_EQ(third.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(third.status().ToString(), HasSubstr((*first)->metrics_address()));
}

TEST_F(ServerTest, RefusesAddressesAndReadyFilesThatCannotBe) {
  for (const char* bad : {"", "7001", "localhost", ":7001", "127.0.0.1:"}) {
    auto server = Server::Start({.listen = bad}, {&service_}, nullptr);
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  auto server =
      Server::Start({.ready_file = directory_ / "missing" / "ready"}, {&service_}, nullptr);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerTest, MetricsAreOptionalAndStopIsIdempotent) {
  auto server = Server::Start({.metrics_listen = ""}, {&service_}, nullptr);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->metrics_address(), "");
  (*server)->Stop();
  (*server)->Stop();
}

TEST_F(ServerTest, AReadyFileOfAnEarlierProcessGoesBeforeTheServerStarts) {
  const std::filesystem::path ready = directory_ / "ready.json";
  std::ofstream(ready) << "old";
  auto blocker = Server::Start({}, {&service_}, nullptr);
  ASSERT_TRUE(blocker.ok()) << blocker.status();
  StatusService other;
  auto server =
      Server::Start({.listen = (*blocker)->address(), .ready_file = ready}, {&other}, nullptr);
  EXPECT_FALSE(server.ok());
  EXPECT_FALSE(std::filesystem::exists(ready));
}

TEST(StopSignals, WaitReturnsTheSignalThatCame) {
  PrepareServerProcess();
  kill(getpid(), SIGTERM);
  EXPECT_EQ(WaitForStopSignal(), SIGTERM);
}

}  // namespace
}  // namespace sextant::rpc
