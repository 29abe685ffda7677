// See gossip_peers.h.
#include "storage-node/server/gossip_peers.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "sextant/v1/storage.grpc.pb.h"

namespace sextant::storage {
namespace {

constexpr auto kCallTimeout = std::chrono::seconds(2);
// The peer reads many pages from its disk for one reply.
constexpr auto kCopyTimeout = std::chrono::seconds(20);

class GrpcPeer final : public PeerNode {
 public:
  GrpcPeer(const std::string& name, const std::string& address)
      : stub_(v1::StorageService::NewStub(rpc::MakeChannel(address))),
        who_(Text("storage node ", name, " (", address, ")")) {}

  absl::StatusOr<protocol::ReadLogReply> ReadLog(const protocol::ReadLogRequest& request) override {
    v1::ReadLogResponse response;
    RETURN_IF_ERROR(Call<v1::ReadLogRequest>(&v1::StorageService::Stub::ReadLog, request,
                                             kCallTimeout, &response));
    return rpc::FromProto(response, request.segment);
  }
  absl::StatusOr<protocol::CopyPagesReply> CopyPages(
      const protocol::CopyPagesRequest& request) override {
    v1::CopyPagesResponse response;
    RETURN_IF_ERROR(Call<v1::CopyPagesRequest>(&v1::StorageService::Stub::CopyPages, request,
                                               kCopyTimeout, &response));
    return rpc::FromProto(response);
  }
  absl::StatusOr<protocol::ReadPagesReply> ReadPages(
      const protocol::ReadPagesRequest& request) override {
    v1::ReadPagesResponse response;
    RETURN_IF_ERROR(Call<v1::ReadPagesRequest>(&v1::StorageService::Stub::ReadPages, request,
                                               kCallTimeout, &response));
    return rpc::FromProto(response, request);
  }

 private:
  template <typename Message, typename Method, typename Request, typename Response>
  absl::Status Call(Method method, const Request& request, std::chrono::seconds timeout,
                    Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    Message message;
    rpc::ToProto(request, &message);
    const grpc::Status status = ((*stub_).*method)(&context, message, response);
    return status.ok() ? absl::OkStatus() : rpc::FromGrpc(status, who_);
  }

  const std::unique_ptr<v1::StorageService::Stub> stub_;
  const std::string who_;
};

}  // namespace

absl::StatusOr<PeerNodes> GrpcPeers(const std::vector<std::string>& specs) {
  PeerNodes peers;
  for (const std::string& spec : specs) {
    const size_t equals = spec.find('=');
    const size_t colon = spec.rfind(':');
    if (equals == std::string::npos || equals == 0 || colon == std::string::npos ||
        colon <= equals + 1 || colon + 1 == spec.size()) {
      return absl::InvalidArgumentError(
          Text("--peer ", spec, ": write NAME=HOST:PORT, for example az1-b=10.0.0.2:7100"));
    }
    const std::string name = spec.substr(0, equals);
    if (!peers.emplace(name, std::make_shared<GrpcPeer>(name, spec.substr(equals + 1))).second) {
      return absl::InvalidArgumentError(Text("--peer names ", name, " twice"));
    }
  }
  return peers;
}

}  // namespace sextant::storage
