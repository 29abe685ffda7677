// What every `sextant` command shares: global options, where the cluster is, errors and exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/cluster_state.h"

namespace sextant::cli {

// docs/OPERATIONS.md, "Exit codes".
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,       // it was understood, and failed
  kExitUsage = 2,        // wrong flag, argument, environment variable or config file
  kExitUnavailable = 3,  // no node answers, or none that can serve now: try again later
  kExitUnknown = 4,  // a commit was sent and its outcome is not known: check before repeating it
};
ExitCode ExitCodeOf(const absl::Status& status);

struct GlobalOptions {
  std::string dir = "./sextant-data";
  std::vector<std::string> endpoints;  // compute nodes, "host:port"; when given, `dir` is not used
  std::string output = "table";        // table, json
  bool json() const { return output == "json"; }
};

// Each noun's file adds itself to the app; the callback of the verb that was chosen leaves what is
// to be run in *run, which main() then calls for the exit code.
using Run = std::function<int()>;
struct Cli {
  GlobalOptions options;
  Run run;
};
void AddClusterCommands(CLI::App* app, Cli* cli);
void AddSqlCommand(CLI::App* app, Cli* cli);
void AddBenchCommands(CLI::App* app, Cli* cli);
void AddVolumeCommands(CLI::App* app, Cli* cli);
void AddSegmentCommands(CLI::App* app, Cli* cli);
void AddFaultCommands(CLI::App* app, Cli* cli);
void AddBinlogCommands(CLI::App* app, Cli* cli);
void AddCompareCommand(CLI::App* app, Cli* cli);
void AddPingCommand(CLI::App* app, Cli* cli);
void AddPromoteCommand(CLI::App* app, Cli* cli);
void AddMiscCommands(CLI::App* app, Cli* cli);  // version, completion

// Adds --dir and --output to a verb (flag, then SEXTANT_* of the environment), and --endpoints to
// those that also work on a cluster whose processes are elsewhere.
enum class Reach { kLocalOnly, kAnyCluster };
void AddGlobalOptions(CLI::App* verb, GlobalOptions* options, Reach reach);

// Prints "sextant: message" and a hint for the kinds of error that have one; returns its exit code.
int Fail(const absl::Status& status, const std::string& hint = "");

// The compute nodes to talk to: --endpoints, or those of the cluster in --dir, the one that was
// made to write first.
absl::StatusOr<std::vector<std::string>> ComputeEndpoints(const GlobalOptions& options);

}  // namespace sextant::cli
