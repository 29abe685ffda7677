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
    std::cout << absl::StreamFormat("%-22s %s%s\n", scenario.name, scenario.shows,
                                    scenario.needs.disks ? " (root)" : "");
  }
  if (options.json()) std::cout << list.dump(2) << "\n";
  return kExitOk;
}

fault::RunOptions OptionsOf(const FaultFlags& flags, const std::string& directory) {
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
  return run;
}

int Conclude(const absl::StatusOr<fault::RunResult>& result) {
  if (!result.ok()) return Fail(result.status());
  std::cout << fault::Summary(result->facts, result->rounds) << std::flush;
  return result->is_explained() ? kExitOk : kExitFailed;
}

int PlayScenario(const fault::Scenario& scenario, const FaultFlags& flags,
                 const std::string& directory) {
  std::cout << scenario.name << ": " << scenario.shows << "\nin " << directory << ", seed "
            << flags.seed << std::endl;
  return Conclude(fault::RunScenario(scenario, OptionsOf(flags, directory)));
}

// Those that this machine cannot play are left out, with a word.
int PlayAll(const FaultFlags& flags, const std::string& directory) {
  int exit_code = kExitOk;
  for (const fault::Scenario& scenario : fault::Scenarios()) {
    if (const std::string obstacle = fault::Prepare(scenario); !obstacle.empty()) {
      std::cout << scenario.name << ": left out: " << obstacle << std::endl;
      continue;
    }
    const int played = PlayScenario(scenario, flags, Text(directory, "/", scenario.name));
    if (exit_code == kExitOk) exit_code = played;
  }
  return exit_code;
}

int RunFaults(const FaultFlags& flags) {
  const std::string directory = flags.directory.empty()
                                    ? Text("./sextant-fault/", flags.scenario, "-", flags.seed)
                                    : flags.directory;
  if (flags.scenario == "all") return PlayAll(flags, directory);
  const fault::Scenario* const scenario = fault::FindScenario(flags.scenario);
  if (scenario == nullptr) {
    std::cerr << "sextant: there is no scenario '" << flags.scenario
              << "'\nhint: `sextant fault list` names them\n";
    return kExitUsage;
  }
  if (const std::string obstacle = fault::Prepare(*scenario); !obstacle.empty()) {
    std::cerr << "sextant: " << scenario->name << " cannot be played here: " << obstacle << "\n";
    return kExitUnavailable;
  }
  return PlayScenario(*scenario, flags, directory);
}

int RunLoadOnly(const GlobalOptions& options, const FaultFlags& flags) {
  const absl::StatusOr<std::vector<std::string>> endpoints = ComputeEndpoints(options);
  if (!endpoints.ok()) return Fail(endpoints.status());
  return Conclude(fault::RunLoad(*endpoints, OptionsOf(flags, flags.directory)));
}

void AddLoadOptions(CLI::App* verb, FaultFlags* flags) {
  verb->add_option("--seed", flags->seed, "Draws from this seed; the same plan again.")
      ->capture_default_str();
  verb->add_option("--clients", flags->clients, "Lets so many clients write; one more only reads.")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void AddLoadVerb(CLI::App* noun, Cli* cli) {
  CLI::App* verb = noun->add_subcommand(
      "load", "Plays no fault: lets clients work on a running cluster, and judges what they saw.");
  auto flags = std::make_shared<FaultFlags>();
  AddGlobalOptions(verb, &cli->options, Reach::kAnyCluster);
  AddLoadOptions(verb, flags.get());
  verb->add_option("--duration", flags->duration_s, "Works for so many seconds.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--run-dir", flags->directory, "Keeps the history and the figures here.");
  verb->callback(
      [cli, flags] { cli->run = [cli, flags] { return RunLoadOnly(cli->options, *flags); }; });
}

void AddRunVerb(CLI::App* noun, Cli* cli) {
  CLI::App* verb =
      noun->add_subcommand("run",
                           "Plays a scenario on a cluster of its own, under load, and judges what "
                           "clients saw. Those that "
                           "begin with binlog- play on a source and two replicas, for comparison.");
  auto flags = std::make_shared<FaultFlags>();
  verb->add_option("SCENARIO", flags->scenario, "What `sextant fault list` names.")->required();
  verb->add_option("--seed", flags->seed,
                   "Draws faults and load from this seed; the same plan again.")
      ->capture_default_str();
  verb->add_option("--rounds", flags->rounds, "Plays so many rounds, with seeds that follow.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--duration", flags->duration_s,
                   "Seconds of a round: 3 parts before the faults, 4 during, 3 after.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--dir", flags->directory,
                   "Keeps the run's files here [./sextant-fault/SCENARIO-SEED].");
  verb->add_flag("--keep", flags->keep, "Keeps the cluster's data even where all is explained.");
  verb->add_option("--storage-failpoint", flags->storage_failpoints,
                   "Gives every storage node this failpoint at every start: a bug that is planted. "
                   "There are none "
                   "in binlog mode.");
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
  AddLoadVerb(noun, cli);
}

}  // namespace sextant::cli
