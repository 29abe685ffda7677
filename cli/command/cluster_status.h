// `sextant cluster status`, also the shell's .status: gathers a ClusterPicture and prints it.
#pragma once

#include "absl/status/statusor.h"
#include "cli/command/context.h"
#include "cli/status/picture.h"

namespace sextant::cli {

struct StatusFlags {
  bool watch = false;
  int interval_ms = 1000;
};

// Asks every process and node that `options` leads to. Never waits longer than kStatusTimeout for
// one. Fails only where there is no cluster to ask, or none of the endpoints answers.
absl::StatusOr<ClusterPicture> GatherPicture(const GlobalOptions& options);

void AddStatusVerb(CLI::App* noun, Cli* cli, StatusFlags* flags);

}  // namespace sextant::cli
