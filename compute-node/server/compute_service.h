// ComputeService over gRPC: what this compute node says of itself and of the members it sees.
#pragma once

#include <string>

#include "compute-node/writer/writer_volume.h"
#include "sextant/v1/compute.grpc.pb.h"

namespace sextant::server {

class ComputeService final : public v1::ComputeService::CallbackService {
 public:
  // The volume outlives the service.
  ComputeService(std::string node, compute::WriterVolume* volume)
      : node_(std::move(node)), volume_(*volume) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::ComputeStatusRequest* request,
                                      v1::ComputeStatus* response) override;
  grpc::ServerUnaryReactor* ReplaceSegment(grpc::CallbackServerContext* context,
                                           const v1::ReplaceSegmentRequest* request,
                                           v1::ReplaceSegmentResponse* response) override;
  grpc::ServerUnaryReactor* UndoReplace(grpc::CallbackServerContext* context,
                                        const v1::UndoReplaceRequest* request,
                                        v1::UndoReplaceResponse* response) override;

 private:
  const std::string node_;
  compute::WriterVolume& volume_;
};

}  // namespace sextant::server
