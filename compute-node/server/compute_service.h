// ComputeService over gRPC: what this compute node says of itself and of the members it sees.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "compute-node/sql/worker_pool.h"
#include "sextant/v1/compute.grpc.pb.h"

namespace sextant::server {

// The node behind the service (node.h); tests put something else there. Thread-safe; non-blocking,
// but for Promote.
class NodeControl {
 public:
  virtual ~NodeControl() = default;
  virtual void FillStatus(v1::ComputeStatus* status) const = 0;
  virtual void ReplaceSegment(const v1::ReplaceSegmentRequest& request,
                              std::function<void(absl::Status)> done) = 0;
  virtual absl::Status UndoReplace(const v1::UndoReplaceRequest& request) = 0;
  // May ask other nodes, and put what it promises them on disk.
  virtual absl::Status Promote(const v1::PromoteRequest& request,
                               v1::PromoteResponse* response) = 0;
};

class ComputeService final : public v1::ComputeService::CallbackService {
 public:
  // Outlives the service.
  explicit ComputeService(NodeControl* node) : node_(*node) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::ComputeStatusRequest* request,
                                      v1::ComputeStatus* response) override;
  grpc::ServerUnaryReactor* ReplaceSegment(grpc::CallbackServerContext* context,
                                           const v1::ReplaceSegmentRequest* request,
                                           v1::ReplaceSegmentResponse* response) override;
  grpc::ServerUnaryReactor* UndoReplace(grpc::CallbackServerContext* context,
                                        const v1::UndoReplaceRequest* request,
                                        v1::UndoReplaceResponse* response) override;
  grpc::ServerUnaryReactor* Promote(grpc::CallbackServerContext* context,
                                    const v1::PromoteRequest* request,
                                    v1::PromoteResponse* response) override;

 private:
  NodeControl& node_;
  sql::WorkerPool promotions_{1};  // one after the other
};

}  // namespace sextant::server
