// `sextant bench log|sql`: flags and output of the cluster benchmarks.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <random>

#include "cli/bench/bench.h"
#include "cli/command/compute_nodes.h"
#include "cli/command/context.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

using RunBench = absl::StatusOr<BenchReport> (*)(const BenchOptions&, const BenchProgress&);

int Run(const GlobalOptions& options, BenchOptions bench, RunBench run) {
  const absl::StatusOr<WriterAnswer> writer = AskWriter(options);
  if (!writer.ok()) return Fail(writer.status(), "`sextant cluster status` shows what runs");
  bench.endpoint = writer->address;
  if (bench.seed == 0) bench.seed = std::random_device{}();
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  const auto report = run(bench, [is_terminal](const std::string& text) {
    std::cerr << (is_terminal ? "\r\x1b[K" : "") << text << (is_terminal ? "" : "\n") << std::flush;
  });
  if (is_terminal) std::cerr << "\r\x1b[K" << std::flush;
  if (!report.ok()) return Fail(report.status());
  std::cout << (options.json() ? ReportToJson(*report) : ReportToText(*report));
  return kExitOk;
}

void AddBench(CLI::App* noun, Cli* cli, const char* name, const char* help, RunBench run,
              uint32_t value_bytes) {
  CLI::App* verb = noun->add_subcommand(name, help);
  auto flags = std::make_shared<BenchOptions>();
  flags->value_bytes = value_bytes;
  AddGlobalOptions(verb, &cli->options, Reach::kAnyCluster);
  verb->add_option("--clients", flags->clients, "Keeps so many requests under way.")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  verb->add_option("--seconds", flags->seconds, "Measures for so long.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--warmup", flags->warmup_seconds, "Runs so many seconds before it measures.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--value-bytes", flags->value_bytes, "Writes so many bytes per commit.")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  verb->add_option("--timeout-ms", flags->timeout_ms, "Waits at most so long for each commit.")
      ->capture_default_str();
  verb->add_option("--rate", flags->rate,
                   "Sends so many requests a second, of all clients; 0: as fast as answers come.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--seed", flags->seed,
                   "Draws pages, keys and values from this seed [a new one].");
  if (std::string(name) == "log") {
    verb->add_option("--streams", flags->streams,
                     "Spreads the clients over so many streams [one for all].");
    verb->add_option("--pages", flags->pages, "Edits the volume's last so many pages.")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  } else {
    verb->add_option("--rows", flags->rows, "Fills the table with so many rows.")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    verb->add_option_function<std::string>(
            "--workload", [flags](const std::string& name) { flags->workload = *WorkloadOf(name); },
            "Runs this over and over, one transaction a request.")
        ->check(CLI::IsMember(WorkloadNames()))
        ->default_str("upsert");
  }
  verb->callback([cli, flags, run] {
    cli->run = [cli, flags, run] { return Run(cli->options, *flags, run); };
  });
}

}  // namespace

void AddBenchCommands(CLI::App* app, Cli* cli) {
  CLI::App* noun = app->add_subcommand("bench", "Measures a running cluster under load.");
  noun->require_subcommand(1);
  AddBench(noun, cli, "log", "Appends mini-transactions of one random page edit (VolumeService).",
           RunLogBench, 256);
  AddBench(noun, cli, "sql", "Runs transactions on a table of its own (SqlService).", RunSqlBench,
           64);
}

}  // namespace sextant::cli
