// SqlService over gRPC: streams become sessions, unary calls batches. Thin; SQL is
// compute-node/sql.
//
// It can be registered before the volume is open: until Attach, and after Detach, every call is
// answered UNAVAILABLE. Callback API: no thread belongs to a client.
#pragma once

#include <functional>
#include <mutex>

#include "compute-node/sql/executor.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::server {

class SqlService final : public v1::SqlService::CallbackService {
 public:
  // `executor` lives until Detach has returned and its Stop() was called.
  void Attach(sql::SqlExecutor* executor);
  // No new calls reach the executor; those under way end when it is stopped.
  void Detach();

  grpc::ServerBidiReactor<v1::SqlRequest, v1::SqlResponse>* Session(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Batch(grpc::CallbackServerContext* context,
                                  const v1::SqlRequest* request,
                                  v1::SqlResponse* response) override;

 private:
  // Calls `use` with the executor, if there is one, which then stays until `use` returns.
  bool WithExecutor(const std::function<void(sql::SqlExecutor&)>& use);

  std::mutex mutex_;
  sql::SqlExecutor* executor_ = nullptr;
};

}  // namespace sextant::server
