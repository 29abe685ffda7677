// See gossip_peers.h.
#include "storage-node/server/gossip_peers.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <utility>

#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "sextant/v1/storage.grpc.pb.h"

namespace sextant::storage {
namespace {

constexpr auto kCallTimeout = std::chrono::seconds(2);

PeerLog MakePeer(const std::string& name, const std::string& address) {
  std::shared_ptr<v1::StorageService::Stub> stub =
      v1::StorageService::NewStub(rpc::MakeChannel(address));
  const std::string who = Text("storage node ", name, " (", address, ")");
  return [stub,
          who](const protocol::ReadLogRequest& request) -> absl::StatusOr<protocol::ReadLogReply> {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    v1::ReadLogRequest message;
    rpc::ToProto(request, &message);
    v1::ReadLogResponse response;
    const grpc::Status status = stub->ReadLog(&context, message, &response);
    if (!status.ok()) return rpc::FromGrpc(status, who);
    return rpc::FromProto(response, request.segment);
  };
}

}  // namespace

absl::StatusOr<PeerLogs> GrpcPeers(const std::vector<std::string>& specs) {
  PeerLogs peers;
  for (const std::string& spec : specs) {
    const size_t equals = spec.find('=');
    const size_t colon = spec.rfind(':');
    if (equals == std::string::npos || equals == 0 || colon == std::string::npos ||
        colon <= equals + 1 || colon + 1 == spec.size()) {
      return absl::InvalidArgumentError(
          Text("--peer ", spec, ": write NAME=HOST:PORT, for example az1-b=10.0.0.2:7100"));
    }
    const std::string name = spec.substr(0, equals);
    if (!peers.emplace(name, MakePeer(name, spec.substr(equals + 1))).second) {
      return absl::InvalidArgumentError(Text("--peer names ", name, " twice"));
    }
  }
  return peers;
}

}  // namespace sextant::storage
