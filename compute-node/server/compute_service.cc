// See compute_service.h.
#include "compute-node/server/compute_service.h"

#include "common/rpc/status.h"

namespace sextant::server {
namespace {

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                    const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpc(status));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* ComputeService::GetStatus(grpc::CallbackServerContext* context,
                                                    const v1::ComputeStatusRequest*,
                                                    v1::ComputeStatus* response) {
  node_.FillStatus(response);
  return FinishNow(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* ComputeService::ReplaceSegment(grpc::CallbackServerContext* context,
                                                         const v1::ReplaceSegmentRequest* request,
                                                         v1::ReplaceSegmentResponse*) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  node_.ReplaceSegment(
      *request, [reactor](const absl::Status& status) { reactor->Finish(rpc::ToGrpc(status)); });
  return reactor;
}

grpc::ServerUnaryReactor* ComputeService::UndoReplace(grpc::CallbackServerContext* context,
                                                      const v1::UndoReplaceRequest* request,
                                                      v1::UndoReplaceResponse*) {
  return FinishNow(context, node_.UndoReplace(*request));
}

grpc::ServerUnaryReactor* ComputeService::Promote(grpc::CallbackServerContext* context,
                                                  const v1::PromoteRequest* request,
                                                  v1::PromoteResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  // Request and response live until the reactor is finished.
  promotions_.Post([this, request, response, reactor] {
    reactor->Finish(rpc::ToGrpc(node_.Promote(*request, response)));
  });
  return reactor;
}

}  // namespace sextant::server
