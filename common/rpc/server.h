// What every Sextant server process does the same way: listen, health, reflection, metrics, stop.
//
// A main.cc hands its gRPC services to Server::Start, which adds gRPC health and reflection on the
// gRPC port and Prometheus text at http://HOST:PORT/metrics. Health says NOT_SERVING until
// SetReady(true). SIGTERM and SIGINT are a graceful stop: PrepareServerProcess first, then
// WaitForStopSignal, then Stop.
//
// gRPC here has neither TLS nor authentication: these ports belong on a private network.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace grpc {
class Service;
}
namespace prometheus {
class Collectable;
class Registry;
}  // namespace prometheus

namespace sextant::rpc {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";          // gRPC; port 0 picks a free one
  std::string metrics_listen = "127.0.0.1:0";  // HTTP /metrics; empty: none
  // When not empty: once both ports are bound, {"listen": "host:port", "metrics": "host:port",
  // "pid": N} is written here (atomically), so that a supervisor can find ports that were picked.
  std::string ready_file;
};

class Server {
 public:
  virtual ~Server() = default;  // stops, if still running
  // Binds and starts to serve. UNAVAILABLE: an address is taken or not ours; the message names it.
  // INVALID_ARGUMENT: an address is not HOST:PORT. `services` outlive the server; `metrics` (may be
  // null) and `collectables` are what /metrics shows.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options, const std::vector<grpc::Service*>& services,
      std::shared_ptr<prometheus::Registry> metrics,
      std::vector<std::shared_ptr<prometheus::Collectable>> collectables = {});
  virtual const std::string& address() const = 0;          // as bound, "127.0.0.1:40123"
  virtual const std::string& metrics_address() const = 0;  // empty when none
  virtual void SetReady(bool is_ready) = 0;  // what the health service answers; false at first
  // Refuses new calls, lets calls under way finish for up to `grace_ms`, then cancels them.
  virtual void Stop(int grace_ms = 3000) = 0;
};

// Call first in main(). Blocks SIGTERM and SIGINT in this thread and all it starts later, so that
// WaitForStopSignal takes them; ignores SIGPIPE; turns off what a debug build of Abseil checks.
void PrepareServerProcess();
// Waits for one of them and returns it.
int WaitForStopSignal();

}  // namespace sextant::rpc
