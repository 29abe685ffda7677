// Cluster: six storage nodes in three zones and a writer, as a test sees them. Two implementations.
//
// In one process (embedded_sql_cluster.cc: EmbeddedCluster with the SQL service in front) and as
// real binaries started by the `sextant` command (process_cluster.cc). Tests are written once
// against this interface; SQL goes over gRPC in both.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sextant::testing {

struct ClusterOptions {
  std::string directory;  // empty, the test's own
  uint64_t segment_bytes = 4 << 20;
  uint32_t protection_groups = 4;
  uint32_t spares = 0;   // storage nodes beyond the six (real processes only)
  uint32_t readers = 0;  // likewise, compute nodes beyond the writer
};

inline const std::vector<std::string>& NodeNames() {
  static const auto* names =
      new std::vector<std::string>{"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"};
  return *names;
}

class Cluster {
 public:
  virtual ~Cluster() = default;  // stops everything

  // Starts whatever is not running, on the same data, and waits until SQL is served.
  virtual absl::Status Up() = 0;
  // Like kill -9 or a pulled plug: nothing is flushed, nobody is told.
  virtual absl::Status KillNode(const std::string& node) = 0;
  virtual absl::Status StartNode(const std::string& node) = 0;
  virtual absl::Status KillWriter() = 0;
  // Starts the writer without waiting for it to be open; Up() waits.
  virtual absl::Status StartWriter() = 0;
  absl::Status KillAll();

  // Where SqlService answers, HOST:PORT.
  virtual std::string sql_endpoint() const = 0;
};

std::unique_ptr<Cluster> MakeEmbeddedCluster(ClusterOptions options);
std::unique_ptr<Cluster> MakeProcessCluster(ClusterOptions options);

}  // namespace sextant::testing
