// `sextant fault list|run`: bad days for a cluster of its own, and whether all was explained.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/command/context.h"
#include "common/base/text.h"
#include "fault/run/run.h"

namespace sextant::cli {
namespace {

struct FaultFlags {
  std::string scenario;
  std::string directory;
  uint64_t seed = 1;
  int rounds = 1;
  int clients = 4;
  double duration_s = 10;
  bool keep = false;
  std::vector<std::string> storage_failpoints;
};

std::string NeedsOf(const fault::Scenario& scenario) { return scenario.needs.disks ? "root" : ""; }

int List(const GlobalOptions& options) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const fault::Scenario& scenario : fault::Scenarios()) {
    list.push_back(
        {{"scenario", scenario.name}, {"shows", scenario.shows}, {"needs", NeedsOf(scenario)}});
    if (options.json()) continue;
    std::cout << absl::StreamFormat("%-18s %s%s\n", scenario.name, scenario.shows,
                                    scenario.needs.disks ? " (root)" : "");
  }
  if (options.json()) std::cout << list.dump(2) << "\n";
  return kExitOk;
}

int PlayScenario(const fault::Scenario& scenario, const FaultFlags& flags,
                 const std::string& directory) {
  if (const std::string obstacle = fault::Prepare(scenario); !obstacle.empty()) {
    std::cerr << "sextant: " << scenario.name << " cannot be played here: " << obstacle << "\n";
    return kExitUnavailable;
  }
  fault::RunOptions run;
  run.directory = directory;
  run.seed = flags.seed;
  run.rounds = flags.rounds;
  run.clients = flags.clients;
  run.duration = absl::Seconds(flags.duration_s);
  run.keeps_cluster = flags.keep;
  for (const std::string& failpoint : flags.storage_failpoints) {
    run.storage_flags.insert(run.storage_flags.end(), {"--failpoint", failpoint});
  }
  run.say = [](const std::string& line) { std::cout << line << std::endl; };
  std::cout << scenario.name << ": " << scenario.shows << "\nin " << directory << ", seed "
            << flags.seed << std::endl;
  const auto result = fault::RunScenario(scenario, run);
  if (!result.ok()) return Fail(result.status());
  std::cout << fault::Summary(result->facts, result->rounds) << std::flush;
  return result->is_explained() ? kExitOk : kExitFailed;
}

int RunFaults(const FaultFlags& flags) {
  const fault::Scenario* const scenario = fault::FindScenario(flags.scenario);
  if (scenario == nullptr) {
    std::cerr << "sextant: there is no scenario '" << flags.scenario
              << "'\nhint: `sextant fault list` names them\n";
    return kExitUsage;
  }
  const std::string directory = flags.directory.empty()
                                    ? Text("./sextant-fault/", flags.scenario, "-", flags.seed)
                                    : flags.directory;
  return PlayScenario(*scenario, flags, directory);
}

void AddRunVerb(CLI::App* noun, Cli* cli) {
  CLI::App* verb = noun->add_subcommand(
      "run", "Plays a scenario on a cluster of its own, under load, and judges what clients saw.");
  auto flags = std::make_shared<FaultFlags>();
  verb->add_option("SCENARIO", flags->scenario, "What `sextant fault list` names.")->required();
  verb->add_option("--seed", flags->seed,
                   "Draws faults and load from this seed; the same plan again.")
      ->capture_default_str();
  verb->add_option("--rounds", flags->rounds, "Plays so many rounds, with seeds that follow.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--clients", flags->clients, "Lets so many clients write; one more only reads.")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--duration", flags->duration_s,
                   "Seconds of a round: 3 parts before the faults, 4 during, 3 after.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--dir", flags->directory,
                   "Keeps the run's files here [./sextant-fault/SCENARIO-SEED].");
  verb->add_flag("--keep", flags->keep, "Keeps the cluster's data even where all is explained.");
  verb->add_option(
      "--storage-failpoint", flags->storage_failpoints,
      "Gives every storage node this failpoint at every start: a bug that is planted.");
  verb->callback([cli, flags] { cli->run = [flags] { return RunFaults(*flags); }; });
}

}  // namespace

void AddFaultCommands(CLI::App* app, Cli* cli) {
  CLI::App* noun = app->add_subcommand("fault", "Plays bad days on a cluster of their own.");
  noun->require_subcommand(1);
  CLI::App* list = noun->add_subcommand("list", "Names the scenarios and what they show.");
  list->add_option("--output", cli->options.output, "Prints a table or JSON.")
      ->check(CLI::IsMember({"table", "json"}));
  list->callback([cli] { cli->run = [cli] { return List(cli->options); }; });
  AddRunVerb(noun, cli);
}

}  // namespace sextant::cli
