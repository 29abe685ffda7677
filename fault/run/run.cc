// See run.h.
#include "fault/run/run.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "cli/cluster/end_on_signal.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "fault/cluster/disks.h"
#include "fault/cluster/fault_cluster.h"
#include "fault/run/round_player.h"

namespace sextant::fault {
namespace {

namespace fs = std::filesystem;
constexpr absl::Duration kPatience = absl::Seconds(120);

absl::Status MakeEmptyFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return absl::UnavailableError(Text("cannot make ", path, ": ", error.message()));
  if (!fs::is_empty(path, error)) {
    return absl::InvalidArgumentError(
        Text(path, " is not empty: nothing was touched; name an empty or new folder with --dir"));
  }
  return absl::OkStatus();
}

// What a round wrote, for the last look at it.
struct Closed {
  int round = 0;
  int64_t first_key = 0, end_key = 0;
  uint32_t checksum = 0;
};

class Run {
 public:
  Run(const Scenario& scenario, const RunOptions& options)
      : scenario_(scenario), options_(options) {
    result_.facts = {scenario.name, options.seed, options.rounds, options.clients, ""};
  }

  absl::Status MakeCluster() {
    RETURN_IF_ERROR(MakeEmptyFolder(options_.directory));
    FaultClusterOptions cluster;
    cluster.directory = options_.directory + "/cluster";
    cluster.has_links = scenario_.needs.links;
    cluster.has_disks = scenario_.needs.disks;
    cluster.has_standby = scenario_.needs.standby;
    cluster.readers = scenario_.needs.readers;
    cluster.replicas = scenario_.needs.replicas;
    cluster.semi_sync_acks = scenario_.needs.semi_sync_acks;
    cluster.compute_flags = scenario_.compute_flags;
    cluster.storage_flags = scenario_.storage_flags;
    cluster.storage_flags.insert(cluster.storage_flags.end(), options_.storage_flags.begin(),
                                 options_.storage_flags.end());
    ASSIGN_OR_RETURN(cluster_, FaultCluster::Make(std::move(cluster)));
    end_on_signal_ = std::make_unique<cli::EndOnSignal>([this](int signal) { End(signal); });
    const Topology topology = cluster_->topology();
    std::vector<std::string> nodes = topology.StorageNodes();
    nodes.push_back(cluster_->leader());
    RETURN_IF_ERROR(cluster_->Start(nodes));
    RETURN_IF_ERROR(cluster_->AwaitServing(kPatience));
    RETURN_IF_ERROR(cluster_->Start(topology.readers));  // once there is a volume
    RETURN_IF_ERROR(Load::Prepare({cluster_->WriterEndpoints()[0]}, kPatience));
    return cluster_->AwaitWhole(kPatience, /*idle=*/false);  // nobody harms what never was there
  }

  void PlayAll() {
    for (int number = 1; number <= options_.rounds && result_.is_explained(); ++number) {
      PlayOne(number);
    }
    if (result_.is_explained()) CheckClosedRounds();
  }

  RunResult Finish() {
    end_on_signal_.reset();
    cluster_.reset();
    const absl::Status written = WriteResult(options_.directory, result_.facts, result_.rounds);
    if (!written.ok() && result_.facts.error.empty()) result_.facts.error = written.ToString();
    std::error_code ignored;
    if (result_.is_explained() && !options_.keeps_cluster) {
      fs::remove_all(options_.directory + "/cluster", ignored);
    }
    return std::move(result_);
  }

 private:
  // On a thread of its own, in the middle of everything.
  void End(int signal) {
    const size_t ended = cluster_->EndAll();
    options_.say(Text("ended by SIG", sigabbrev_np(signal), ": killed ", ended, " servers of ",
                      options_.directory, "/cluster; this round is not judged"));
  }

  void PlayOne(int number) {
    LoadOptions load = next_load_;
    load.writers = cluster_->WriterEndpoints();
    load.readers = cluster_->ReaderEndpoints();
    if (scenario_.needs.promotes) {
      load.writers = load.readers = cluster_->ComputeEndpoints();
      load.writers_move = true;
    }
    load.has_exact_lsns = !cluster_->is_binlog();
    load.clients = options_.clients;
    // Rounds are streams of their own: round n of seed s is round 1 of seed s + n - 1.
    load.seed = options_.seed + static_cast<uint64_t>(number) - 1;
    const int64_t first_key = load.first_key;
    const uint64_t seed = load.seed;
    RoundPlayer player(scenario_, options_, cluster_.get(), std::move(load));
    const absl::Status played = player.Play(number, seed);
    if (!played.ok()) result_.facts.error = played.ToString();
    result_.rounds.push_back(player.round());
    next_load_.first_key = player.load().next_key();
    next_load_.first_value = player.load().next_value();
    next_load_.first_session = player.load().next_session();
    closed_.push_back({number, first_key, next_load_.first_key, player.checksum()});
    if (options_.rounds > 1) {
      options_.say(Text("round ", number, " of ", options_.rounds, " (seed ", seed,
                        "): ", player.round().is_explained() ? "explained" : "NOT EXPLAINED"));
    }
    if (number == options_.rounds || !result_.is_explained()) WriteFiles(player);
    // A run that somebody ends keeps what it has come to; why it cannot is told at the end.
    (void)WriteResult(options_.directory, result_.facts, result_.rounds);
  }

  // What earlier rounds left must not change any more.
  void CheckClosedRounds() {
    for (const Closed& closed : closed_) {
      const auto checksum =
          Load::Checksum({cluster_->LeaderEndpoint()}, closed.first_key, closed.end_key, kPatience);
      Round& round = result_.rounds[static_cast<size_t>(closed.round) - 1];
      if (!checksum.ok()) {
        round.anomalies.push_back({"no-last-read", checksum.status().ToString()});
      } else if (*checksum != closed.checksum) {
        round.anomalies.push_back({"changed-later", "its keys hold something else at the end"});
      }
    }
  }

  void WriteFiles(const RoundPlayer& player) {
    const absl::Status written =
        WriteRound(options_.directory, scenario_.name, player.round(), player.load().record());
    const absl::Status drawn =
        written.ok() ? DrawPlot(options_.directory, scenario_.name, player.round()) : written;
    if (!drawn.ok()) options_.say(std::string(View(drawn.message())));
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  RunResult result_;
  std::unique_ptr<FaultCluster> cluster_;
  std::unique_ptr<cli::EndOnSignal> end_on_signal_;  // ends before the cluster
  LoadOptions next_load_;
  std::vector<Closed> closed_;
};

}  // namespace

bool RunResult::is_explained() const {
  return facts.error.empty() &&
         std::all_of(rounds.begin(), rounds.end(), [](const Round& r) { return r.is_explained(); });
}

std::string Prepare(const Scenario& scenario) {
  return scenario.needs.disks ? Disks::Prepare() : "";
}

absl::StatusOr<RunResult> RunScenario(const Scenario& scenario, const RunOptions& options) {
  Run run(scenario, options);
  RETURN_IF_ERROR(run.MakeCluster());
  run.PlayAll();
  return run.Finish();
}

}  // namespace sextant::fault
