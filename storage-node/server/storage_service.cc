// See storage_service.h.
#include "storage-node/server/storage_service.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "common/base/status.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "sextant/v1/storage.grpc.pb.h"
#include "storage-node/server/append_stream.h"
#include "storage-node/server/worker_pool.h"

namespace sextant::storage {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using Api = v1::StorageService;
using Base = Api::WithRawCallbackMethod_Append<
    Api::WithCallbackMethod_GetStatus<Api::WithCallbackMethod_CreateSegment<
        Api::WithCallbackMethod_RaiseEpoch<Api::WithCallbackMethod_ReadLog<
            Api::WithCallbackMethod_ReadPages<Api::WithCallbackMethod_CopyPages<
                Api::WithCallbackMethod_DropSegment<Api::Service>>>>>>>>;

class StorageServiceImpl : public StorageService, public Base {
 public:
  StorageServiceImpl(StorageNode* node, StorageServiceOptions options)
      : node_(node), workers_(options.worker_threads, options.max_queued_calls) {}

  grpc::Service* service() override { return this; }
  void EndStreams() override { streams_.EndAll(); }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Append(
      CallbackServerContext*) override {
    return new AppendReactor(node_, &streams_);
  }

  ServerUnaryReactor* GetStatus(CallbackServerContext* context, const v1::GetStatusRequest*,
                                v1::NodeStatus* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    rpc::ToProto(node_->Status(), response);
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  ServerUnaryReactor* RaiseEpoch(CallbackServerContext* context,
                                 const v1::RaiseEpochRequest* request,
                                 v1::SegmentStatus* response) override {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto parsed = rpc::FromProto(*request);
    if (!parsed.ok()) {
      reactor->Finish(rpc::ToGrpc(parsed.status()));
      return reactor;
    }
    node_->RaiseEpoch(*parsed, [=](const absl::StatusOr<protocol::SegmentStatus>& status) {
      if (status.ok()) rpc::ToProto(*status, response);
      reactor->Finish(rpc::ToGrpc(status.status()));
    });
    return reactor;
  }

  ServerUnaryReactor* CreateSegment(CallbackServerContext* context,
                                    const v1::CreateSegmentRequest* request,
                                    v1::SegmentStatus* response) override {
    return OnWorker(context, [=, this]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto parsed, rpc::FromProto(*request));
      ASSIGN_OR_RETURN(const auto status, node_->CreateSegment(parsed));
      rpc::ToProto(status, response);
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* DropSegment(CallbackServerContext* context,
                                  const v1::DropSegmentRequest* request,
                                  v1::DropSegmentResponse*) override {
    return OnWorker(context, [=, this]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto parsed, rpc::FromProto(*request));
      return node_->DropSegment(parsed);
    });
  }

  ServerUnaryReactor* ReadLog(CallbackServerContext* context, const v1::ReadLogRequest* request,
                              v1::ReadLogResponse* response) override {
    return OnWorker(context, [=, this]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto parsed, rpc::FromProto(*request));
      ASSIGN_OR_RETURN(const auto reply, node_->ReadLog(parsed));
      rpc::ToProto(reply, parsed.segment, response);
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* ReadPages(CallbackServerContext* context, const v1::ReadPagesRequest* request,
                                v1::ReadPagesResponse* response) override {
    return OnWorker(context, [=, this]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto parsed, rpc::FromProto(*request));
      ASSIGN_OR_RETURN(const auto reply, node_->ReadPages(parsed));
      rpc::ToProto(reply, parsed, response);
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* CopyPages(CallbackServerContext* context, const v1::CopyPagesRequest* request,
                                v1::CopyPagesResponse* response) override {
    return OnWorker(context, [=, this]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto parsed, rpc::FromProto(*request));
      ASSIGN_OR_RETURN(const auto reply, node_->CopyPages(parsed));
      rpc::ToProto(reply, response);
      return absl::OkStatus();
    });
  }

 private:
  // Request and response live until the reactor is finished.
  template <typename Call>
  ServerUnaryReactor* OnWorker(CallbackServerContext* context, Call call) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    const bool is_taken = workers_.Submit([=] { reactor->Finish(rpc::ToGrpc(call())); });
    if (!is_taken) {
      reactor->Finish(rpc::ToGrpc(
          absl::ResourceExhaustedError("storage node: too many reads wait, try elsewhere")));
    }
    return reactor;
  }

  StorageNode* const node_;
  AppendStreams streams_;
  WorkerPool workers_;
};

}  // namespace

std::unique_ptr<StorageService> StorageService::Make(StorageNode* node,
                                                     StorageServiceOptions options) {
  return std::make_unique<StorageServiceImpl>(node, options);
}

}  // namespace sextant::storage
