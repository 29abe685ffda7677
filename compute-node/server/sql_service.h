// SqlService over gRPC: streams become sessions, unary calls batches. Thin; SQL is
// compute-node/sql.
//
// It stays registered while executors come and go: until Attach, and after Detach, every call is
// refused. Callback API: no thread belongs to a client.
#pragma once

#include "compute-node/server/attachment.h"
#include "compute-node/server/open_calls.h"
#include "compute-node/sql/executor.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::server {

class SqlService final : public v1::SqlService::CallbackService {
 public:
  SqlService();

  // `executor` lives until AwaitUnused has returned.
  void Attach(sql::SqlExecutor* executor);
  // Refuses new calls with `why`, and ends every session with it once the request that it is at is
  // answered; what it was sent besides is not run, and its client is told so. Batches run to their
  // end.
  void Detach(const absl::Status& why);
  // Waits until no call uses the executor. Sessions whose clients take no answers are cut after
  // `patience`; what waits or runs ends only when the volume and the executor make it.
  void AwaitUnused(absl::Duration patience);

  grpc::ServerBidiReactor<v1::SqlRequest, v1::SqlResponse>* Session(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Batch(grpc::CallbackServerContext* context,
                                  const v1::SqlRequest* request,
                                  v1::SqlResponse* response) override;

 private:
  Attachment<sql::SqlExecutor> executor_;
  OpenCalls sessions_;
};

}  // namespace sextant::server
