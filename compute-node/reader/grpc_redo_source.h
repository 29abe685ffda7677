// RedoSource over gRPC: asks the cluster's compute nodes who the writer is, and follows it.
#pragma once

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "compute-node/reader/redo_source.h"

namespace sextant::compute {

struct GrpcRedoSourceOptions {
  std::vector<ComputeNodeName> nodes;  // all but this one
  // A node that does not answer in so long is no writer for now.
  absl::Duration ask_timeout = absl::Seconds(1);
};

std::unique_ptr<RedoSource> MakeGrpcRedoSource(GrpcRedoSourceOptions options);

}  // namespace sextant::compute
