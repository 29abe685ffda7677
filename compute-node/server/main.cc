// sextant-compute-node: opens a volume over six storage nodes and serves SQL and the log service.
#include <spdlog/spdlog.h>

#include <iostream>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/rpc/flags.h"
#include "common/rpc/logging.h"
#include "common/rpc/server.h"
#include "compute-node/server/compute_flags.h"
#include "compute-node/server/node.h"

namespace sextant::server {
namespace {

// Serves until a stop signal, then drains. An error: it could not serve, or its role failed.
absl::Status Run(ComputeFlags flags) {
  Node node(std::move(flags));
  RETURN_IF_ERROR(node.Start());
  const int signal = rpc::WaitForStopSignal();
  spdlog::info("compute node stops{}", rpc::Fields("signal", signal));
  return node.Stop();
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Opens a Sextant volume over six storage nodes; serves SQL (SqlService) and the log service "
      "(VolumeService).",
      "sextant-compute-node");
  ComputeFlags flags;
  AddComputeFlags(&app, &flags);
  if (const auto exit_code = rpc::ParseFlags(&app, argc, argv)) return *exit_code;
  flags.common.log.process = "compute-node";
  flags.common.log.node = flags.node;
  absl::Status usage = CheckComputeFlags(&flags);
  if (usage.ok()) usage = rpc::SetUpLogging(flags.common.log);
  if (!usage.ok()) {
    std::cerr << "sextant-compute-node: " << usage.message() << "\n";
    return rpc::kExitUsage;
  }
  rpc::PrepareServerProcess();
  const absl::Status status = Run(std::move(flags));
  if (status.ok()) return 0;
  spdlog::error("the compute node cannot run{}", rpc::Fields("error", status));
  return rpc::kExitFailure;
}

}  // namespace
}  // namespace sextant::server

int main(int argc, char** argv) { return sextant::server::Main(argc, argv); }
