// sextant-simulator: the deterministic simulator's command line. README.md says what it does.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>

#include "common/base/text.h"
#include "tests/simulation/run/build_info.h"
#include "tests/simulation/run/runner.h"

namespace sextant::simulation {
namespace {

// Situations that so many seeds must have met.
constexpr uint64_t kSeedsThatMeetAll = 5000;

struct Flags {
  uint64_t seed = 0;
  std::string seeds;
  uint64_t fresh = 0;
  std::string mutant;
  RunOptions run;
};

// "7-20" or "7".
bool ParseRange(const std::string& text, RunOptions* run) {
  const size_t dash = text.find('-');
  try {
    run->first_seed = std::stoull(text.substr(0, dash));
    run->last_seed =
        dash == std::string::npos ? run->first_seed : std::stoull(text.substr(dash + 1));
  } catch (const std::exception&) {
    return false;
  }
  return run->first_seed <= run->last_seed;
}

// Becomes the mutant's own binary, which lies beside this one.
int ExecMutant(const std::string& mutant, char** argv) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string path =
      (self.parent_path() / "mutants" / ("sextant-simulator-" + mutant)).string();
  std::vector<char*> arguments = {const_cast<char*>(path.c_str())};
  for (char** arg = argv + 1; *arg != nullptr; ++arg) {
    const std::string_view text = *arg;
    if (text == "--mutant" && arg[1] != nullptr) {
      ++arg;
    } else if (!text.starts_with("--mutant=")) {
      arguments.push_back(*arg);
    }
  }
  arguments.push_back(nullptr);
  execv(path.c_str(), arguments.data());
  std::fprintf(stderr,
               "mutant %s is not built: %s is missing. Build it with\n"
               "  cmake --build build --target sextant-simulator-mutants\n"
               "The mutants there are: tests/simulation/mutants/mutants.json\n",
               mutant.c_str(), path.c_str());
  return 2;
}

int Run(Flags* flags) {
  RunOptions& run = flags->run;
  run.commit = CommitOfSources();
  const std::string mutant = MutantName();
  run.replay = "build/bin/sextant-simulator" + (mutant.empty() ? "" : " --mutant " + mutant);
  if (flags->fresh > 0) {
    run.first_seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                                           std::chrono::microseconds(1));
    run.last_seed = run.first_seed + flags->fresh - 1;
    std::printf("fresh seeds %llu-%llu\n", static_cast<unsigned long long>(run.first_seed),
                static_cast<unsigned long long>(run.last_seed));
  }
  const auto start = std::chrono::steady_clock::now();
  const RunResult result = RunSeeds(run);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::string never = result.report.seeds >= kSeedsThatMeetAll ? NeverMet(result.report) : "";
  if (!never.empty()) std::printf("situations that were never met: %s\n", never.c_str());
  std::printf("%s: %s%s\n  %.1f seeds a second, %llu violations\n",
              result.failures == 0 && never.empty() ? "ok" : "FAILED",
              mutant.empty() ? "" : ("mutant " + mutant + ", ").c_str(),
              Summary(result.report).c_str(), static_cast<double>(result.report.seeds) / seconds,
              static_cast<unsigned long long>(result.failures));
  return result.failures == 0 && never.empty() ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Simulates days of a Sextant volume: the real state machines under faulty networks, disks "
      "and\n"
      "processes, judged by checkers. Exit status 0: no rule was broken. 1: one was, and the seed\n"
      "and the command that repeats it were printed. 2: the command line is wrong.");
  Flags flags;
  auto* seed = app.add_option("--seed", flags.seed, "Runs this one seed");
  auto* seeds =
      app.add_option("--seeds", flags.seeds, "Runs seeds FROM-TO, both included (default 1-100)");
  auto* fresh = app.add_option("--fresh", flags.fresh,
                               "Runs so many seeds from a first one that the time of day gives");
  seed->excludes(seeds);
  fresh->excludes(seed)->excludes(seeds);
  app.add_option(
      "--mutant", flags.mutant,
      "Runs the simulator with a rule of the code under test broken, for example M3; the\n"
      "table is tests/simulation/mutants/mutants.json");
  app.add_option("--jobs", flags.run.jobs, "Spreads the seeds over so many processes (default 1)")
      ->check(CLI::Range(1, 256));
  app.add_flag("--twice", flags.run.is_twice, "Runs each seed twice and compares the traces");
  app.add_flag("--keep-going", flags.run.keeps_going, "Goes on after a seed that broke a rule");
  app.add_flag("--verbose", flags.run.is_verbose,
               "Tells the story of each seed, with simulated times");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!flags.mutant.empty()) return ExecMutant(flags.mutant, argv);
  flags.run.first_seed = 1;
  flags.run.last_seed = 100;
  if (seed->count() > 0) flags.run.first_seed = flags.run.last_seed = flags.seed;
  if (!flags.seeds.empty() && !ParseRange(flags.seeds, &flags.run)) {
    std::fprintf(stderr, "--seeds must be FROM-TO, as in 1-1000, not %s\n", flags.seeds.c_str());
    return 2;
  }
  return Run(&flags);
}

}  // namespace
}  // namespace sextant::simulation

int main(int argc, char** argv) { return sextant::simulation::Main(argc, argv); }
