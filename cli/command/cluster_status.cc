// Gathering and printing the status, once or until interrupted.
#include "cli/command/cluster_status.h"

#include <unistd.h>

#include <future>
#include <iostream>

#include "absl/time/clock.h"
#include "cli/client/status_client.h"
#include "cli/command/compute_nodes.h"
#include "cli/status/draw.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

std::string Render(const GlobalOptions& options, const ClusterPicture& picture, bool watch) {
  if (options.json()) return PictureToJson(picture, /*indent=*/!watch) + "\n";
  return DrawCluster(picture, StyleOfStdout());
}

int RunStatus(const GlobalOptions& options, const StatusFlags& flags) {
  const bool clears = flags.watch && !options.json() && isatty(STDOUT_FILENO) == 1;
  while (true) {
    const absl::StatusOr<ClusterPicture> picture = GatherPicture(options);
    if (!picture.ok() && !flags.watch) return Fail(picture.status());
    const std::string text = picture.ok() ? Render(options, *picture, flags.watch)
                                          : std::string(View(picture.status().message())) + "\n";
    // Home, text, then clear what is left below: no flicker.
    std::cout << (clears ? "\x1b[H" : "");
    for (char c : text) {
      if (clears && c == '\n') std::cout << "\x1b[K";
      std::cout << c;
    }
    std::cout << (clears ? "\x1b[J" : "") << std::flush;
    if (!flags.watch) return kExitOk;
    if (!clears && !options.json()) std::cout << std::endl;
    if (!std::cout) return kExitOk;  // the reader of the pipe has gone
    absl::SleepFor(absl::Milliseconds(flags.interval_ms));
  }
}

}  // namespace

absl::StatusOr<ClusterPicture> GatherPicture(const GlobalOptions& options) {
  if (!options.endpoints.empty()) {
    ASSIGN_OR_RETURN(const std::vector<ComputeNodeAnswer> compute,
                     AskAllComputeNodes(options, /*learns=*/true));
    RETURN_IF_ERROR(compute[IndexOfWriter(compute)].status.status());
    return MakePicture(std::nullopt, {}, compute);
  }
  ASSIGN_OR_RETURN(const ClusterState state, LoadState(options.dir));
  std::future<std::vector<StorageAnswer>> storage =
      std::async(std::launch::async,
                 [addresses = state.StorageAddresses()] { return AskStorageNodes(addresses); });
  ASSIGN_OR_RETURN(const std::vector<ComputeNodeAnswer> compute, AskAllComputeNodes(options));
  return MakePicture(state, storage.get(), compute);
}

void AddStatusVerb(CLI::App* noun, Cli* cli, StatusFlags* flags) {
  CLI::App* verb = noun->add_subcommand(
      "status", "Shows the zones, each segment's state, SCL and lag, VCL and VDL.");
  AddGlobalOptions(verb, &cli->options, Reach::kAnyCluster);
  verb->add_flag("--watch", flags->watch, "Shows it again and again, until interrupted.");
  verb->add_option("--interval-ms", flags->interval_ms, "Waits so long between two pictures.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->callback(
      [cli, flags] { cli->run = [cli, flags] { return RunStatus(cli->options, *flags); }; });
}

}  // namespace sextant::cli
