// `sextant`: the command. Parses noun and verb, runs it, turns the outcome into an exit code.
#include <csignal>
#include <iostream>

#include "cli/command/config_file.h"
#include "cli/command/context.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

constexpr char kFooter[] =
    "Flags go before SEXTANT_* environment variables, those before the YAML file of --config.\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 unreachable or unavailable, 4 outcome unknown.";

// CLI11 finds a missing noun before it looks at what stands in its place.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (unknown.empty() || error.get_name() != "RequiredError") return error.what();
  return Text("there is no command '", unknown.front(), "'");
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone shows as a failed write
  if (const absl::Status status = LoadConfigIntoEnvironment(argc, argv); !status.ok()) {
    return Fail(status);
  }
  CLI::App app("Sextant: an Aurora-style replicated log, and SQL on it.", "sextant");
  app.require_subcommand(1);
  app.fallthrough(false);
  app.footer(kFooter);
  std::string config;  // read before the flags are: LoadConfigIntoEnvironment
  app.add_option("--config", config, "Reads defaults from this YAML file (keys are flag names).")
      ->type_name("FILE");
  Cli cli;
  AddClusterCommands(&app, &cli);
  AddVolumeCommands(&app, &cli);
  AddSegmentCommands(&app, &cli);
  AddBenchCommands(&app, &cli);
  AddFaultCommands(&app, &cli);
  AddBinlogCommands(&app, &cli);
  AddCompareCommand(&app, &cli);
  AddPromoteCommand(&app, &cli);
  AddPingCommand(&app, &cli);
  AddSqlCommand(&app, &cli);
  AddMiscCommands(&app, &cli);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "sextant: " << Explain(app, error)
              << "\nhint: --help after any noun or verb shows what it takes\n";
    return kExitUsage;
  }
  return cli.run();
}

}  // namespace
}  // namespace sextant::cli

int main(int argc, char** argv) { return sextant::cli::Main(argc, argv); }
