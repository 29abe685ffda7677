// MetricsServer: GET /metrics over HTTP, in Prometheus's text format, for one process.
//
// Not prometheus-cpp's own Exposer: that one takes two seconds to stop, which every restart of a
// node would wait for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace prometheus {
class Collectable;
}

namespace sextant::rpc {

class MetricsServer {
 public:
  virtual ~MetricsServer() = default;  // stops
  // `listen` is "host:port"; port 0 picks one. UNAVAILABLE: it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& listen,
      std::vector<std::shared_ptr<prometheus::Collectable>> collectables);
  virtual int port() const = 0;  // as bound
};

}  // namespace sextant::rpc
