// `sextant compare`: the log against the traditional path, on clusters of its own.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>

#include "cli/command/context.h"
#include "cli/compare/compare.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

struct CompareFlags {
  CompareOptions options;
  std::string json_file;
  bool keep = false;
};

int RunCompare(const GlobalOptions& global, CompareFlags flags) {
  CompareOptions& options = flags.options;
  options.dir = global.dir + "/compare";
  if (options.followers <= options.semi_sync_acks) {
    return Fail(absl::InvalidArgumentError(
        Text("--followers ", options.followers, " with --semi-sync-acks ", options.semi_sync_acks,
             ": with the source dead, too few are left to acknowledge; give more followers")));
  }
  if (std::filesystem::exists(options.dir)) {
    return Fail(absl::FailedPreconditionError(
        Text(options.dir, " is there already: remove it, or give another --dir")));
  }
  if (options.load.seed == 0) options.load.seed = std::random_device{}();
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  const auto say = [is_terminal](const std::string& text) {
    std::cerr << (is_terminal ? "\r\x1b[K" : "") << text << (is_terminal ? "" : "\n") << std::flush;
  };
  std::vector<PathReport> reports;
  absl::Status status;
  for (const ComparePath& path : PathsToCompare(options)) {
    absl::StatusOr<PathReport> report = MeasurePath(path, options, say);
    status = report.status();
    if (!status.ok()) break;
    reports.push_back(*std::move(report));
  }
  if (is_terminal) std::cerr << "\r\x1b[K" << std::flush;
  // Kept where it failed: the logs say why.
  std::error_code ignored;
  if (status.ok() && !flags.keep) std::filesystem::remove_all(options.dir, ignored);
  if (!status.ok()) return Fail(status, "the nodes' logs are below " + options.dir);
  const std::string json = CompareToJson(options, reports);
  std::ofstream file(flags.json_file);
  file << json;
  file.close();
  if (!file) return Fail(absl::UnavailableError(Text("writing ", flags.json_file)));
  std::cout << (global.json() ? json : CompareToText(reports) + "JSON: " + flags.json_file + "\n");
  return kExitOk;
}

}  // namespace

void AddCompareCommand(CLI::App* app, Cli* cli) {
  CLI::App* verb = app->add_subcommand(
      "compare",
      "Measures the same workload on the log and on binlog replication, semi-sync and async.");
  const auto flags = std::make_shared<CompareFlags>();
  flags->json_file = "compare.json";
  flags->options.load.value_bytes = 64;
  AddGlobalOptions(verb, &cli->options, Reach::kLocalOnly);
  BenchOptions* load = &flags->options.load;
  verb->add_option("--clients", load->clients, "Keeps so many commits under way.")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  verb->add_option("--seconds", load->seconds, "Measures each path for so long.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--warmup", load->warmup_seconds, "Runs so many seconds before it measures.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--rows", load->rows, "Fills the table with so many rows.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--value-bytes", load->value_bytes, "Writes so many bytes per commit.")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  verb->add_option("--followers", flags->options.followers,
                   "Runs so many readers, and as many replicas.")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  verb->add_option("--semi-sync-acks", flags->options.semi_sync_acks,
                   "Waits for so many replicas in the semi-sync run.")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  verb->add_option("--failures", flags->options.failures,
                   "Kills the writing node so often for its restart, and so often for a promotion.")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  verb->add_option("--seed", load->seed, "Draws keys and values from this seed [a new one].");
  verb->add_option("--json-file", flags->json_file, "Writes the figures to this file.")
      ->capture_default_str();
  verb->add_flag("--keep", flags->keep, "Leaves the clusters' folders behind.");
  verb->callback(
      [cli, flags] { cli->run = [cli, flags] { return RunCompare(cli->options, *flags); }; });
}

}  // namespace sextant::cli
