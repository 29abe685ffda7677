// StorageService: a StorageNode behind gRPC (proto/sextant/v1/storage.proto).
//
// The append stream is read and written as raw bytes: a batch is copied once, from gRPC's slices
// into the string that the log keeps, and never through protobuf. Reads and creations run on a few
// worker threads of their own, with a bounded queue.
#pragma once

#include <cstddef>
#include <memory>

#include "storage-node/server/storage_node.h"

namespace grpc {
class Service;
}

namespace sextant::storage {

struct StorageServiceOptions {
  int worker_threads = 4;
  size_t max_queued_calls = 1024;  // beyond these: RESOURCE_EXHAUSTED
};

// Outlives the gRPC server it is registered with; the node outlives it.
class StorageService {
 public:
  virtual ~StorageService() = default;
  static std::unique_ptr<StorageService> Make(StorageNode* node,
                                              StorageServiceOptions options = {});

  virtual grpc::Service* service() = 0;
  // Ends the append streams, which would otherwise last as long as their peers, and refuses new
  // ones. Call before stopping the server.
  virtual void EndStreams() = 0;
};

}  // namespace sextant::storage
