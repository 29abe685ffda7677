// `sextant ping ADDRESS`: does a server serve? For health checks of containers and scripts.
#include <iostream>
#include <memory>

#include "cli/client/status_client.h"
#include "cli/command/context.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

struct PingFlags {
  std::string address;
  int timeout_ms = 2000;
};

int Ping(const PingFlags& flags) {
  const absl::StatusOr<bool> serving =
      IsServing(flags.address, absl::Milliseconds(flags.timeout_ms));
  if (!serving.ok()) return Fail(serving.status());
  if (*serving) {
    std::cout << flags.address << " serves\n";
    return kExitOk;
  }
  return Fail(absl::UnavailableError(Text(flags.address, " answers, but does not serve (yet)")));
}

}  // namespace

void AddPingCommand(CLI::App* app, Cli* cli) {
  CLI::App* verb = app->add_subcommand(
      "ping", "Asks one server, storage or compute node, whether it serves (gRPC health).");
  auto flags = std::make_shared<PingFlags>();
  verb->add_option("address", flags->address, "The server's gRPC address, HOST:PORT.")->required();
  verb->add_option("--timeout-ms", flags->timeout_ms, "Waits at most this long for the answer.")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb->callback([cli, flags] { cli->run = [flags] { return Ping(*flags); }; });
}

}  // namespace sextant::cli
