// etcd by its own gRPC service: a row is a key.
#include <grpcpp/grpcpp.h>

#include "bench/load/etcd.grpc.pb.h"
#include "bench/load/target.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

class EtcdConnection final : public Connection {
 public:
  explicit EtcdConnection(std::shared_ptr<grpc::Channel> channel)
      : stub_(etcdserverpb::KV::NewStub(channel)) {}

  absl::Status Upsert(uint64_t row, const std::string& value) override {
    grpc::ClientContext context;
    etcdserverpb::PutRequest request;
    etcdserverpb::PutResponse response;
    request.set_key(Text("sextant_bench/", row));
    request.set_value(value);
    const grpc::Status status = stub_->Put(&context, request, &response);
    if (status.ok()) return absl::OkStatus();
    return absl::UnknownError(Text("etcd: ", status.error_message()));
  }

 private:
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
};

class EtcdTarget final : public Target {
 public:
  explicit EtcdTarget(std::string at) : at_(std::move(at)) {}
  absl::Status Prepare() override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<Connection>> Connect() override {
    // A connection of its own for each: gRPC would share one.
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    return std::make_unique<EtcdConnection>(
        grpc::CreateCustomChannel(at_, grpc::InsecureChannelCredentials(), arguments));
  }

 private:
  const std::string at_;
};

}  // namespace

std::unique_ptr<Target> MakeEtcdTarget(const std::string& at) {
  return std::make_unique<EtcdTarget>(at);
}

}  // namespace sextant::bench
