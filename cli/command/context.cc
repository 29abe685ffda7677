// Global options, error printing and exit codes.
#include "cli/command/context.h"

#include <iostream>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return kExitUnavailable;
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnknown;
    default:
      return kExitFailed;
  }
}

void AddGlobalOptions(CLI::App* verb, GlobalOptions* options, Reach reach) {
  verb->add_option("--dir", options->dir, "Finds the local cluster in this folder.")
      ->envname("SEXTANT_DIR")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--output", options->output, "Prints results in this form.")
      ->envname("SEXTANT_OUTPUT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  if (reach == Reach::kLocalOnly) return;
  verb->add_option("--endpoints", options->endpoints,
                   "Talks to these compute nodes instead of the cluster in --dir.")
      ->envname("SEXTANT_ENDPOINTS")
      ->type_name("HOST:PORT[,...]")
      ->delimiter(',');
}

int Fail(const absl::Status& status, const std::string& hint) {
  std::cout.flush();
  std::cerr << "sextant: " << View(status.message()) << "\n";
  if (!hint.empty()) std::cerr << "hint: " << hint << "\n";
  return ExitCodeOf(status);
}

absl::StatusOr<std::vector<std::string>> ComputeEndpoints(const GlobalOptions& options) {
  if (!options.endpoints.empty()) return options.endpoints;
  ASSIGN_OR_RETURN(const ClusterState state, LoadState(options.dir));
  return state.ComputeAddresses();
}

}  // namespace sextant::cli
