// See bench_cluster.h.
#include "bench/cluster/bench_cluster.h"

#include <httplib.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <utility>

#include "absl/time/clock.h"
#include "cli/client/status_client.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

using Names = std::vector<std::string>;

constexpr absl::Duration kPatience = absl::Seconds(60);
// A member that is slow: each group commit takes so much longer. Ten times what a busy disk does.
constexpr char kSlowDisk[] = "store-sync=delay:50";
constexpr char kVictim[] = "az1-a";
constexpr char kVictimZone[] = "az1";
constexpr uint64_t kSegmentBytes = 1ull << 30;  // sparse; large enough that no run makes it grow

std::unique_ptr<BenchCluster> current;
std::string current_folder;
// Held while processes are being started, so that a signal finds all of them.
std::timed_mutex starting;

std::string FolderIn(const std::string& dir) { return dir + "/cluster"; }

Names AllNames(const cli::ClusterState& state) {
  Names names;
  for (const cli::NodeState& node : state.nodes) names.push_back(node.name);
  return names;
}

Names NamesOf(const cli::ClusterState& state, bool compute) {
  Names names;
  for (const cli::NodeState& node : state.nodes) {
    if (node.is_compute() == compute) names.push_back(node.name);
  }
  return names;
}

Names VictimsOf(const cli::ClusterState& state, Members members) {
  if (members != Members::kZoneDead) return {kVictim};
  Names victims;
  for (const cli::NodeState& node : state.nodes) {
    if (node.zone == kVictimZone) victims.push_back(node.name);
  }
  return victims;
}

template <typename Condition>
absl::Status Await(const char* what, Condition missing) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    const std::string text = missing();
    if (text.empty()) return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(Text(what, " took too long: ", text));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
}

void EndAll(const std::string& folder) {
  const absl::StatusOr<cli::ClusterState> state = cli::LoadState(folder);
  if (state.ok()) (void)cli::KillNodes(*state, AllNames(*state));
}

}  // namespace

absl::StatusOr<BenchCluster*> BenchCluster::Get(const std::string& dir, const ClusterPlan& plan) {
  if (current != nullptr && current->plan_ == plan) return current.get();
  Drop();
  cli::RequestedSettings settings;
  if (plan.binlog_replicas > 0) {
    settings.mode = "binlog";
    settings.replicas = plan.binlog_replicas;
    settings.semi_sync_acks = plan.semi_sync_acks;
  } else {
    settings.readers = plan.readers;
    settings.segment_bytes = kSegmentBytes;
  }
  ASSIGN_OR_RETURN(
      cli::LocalCluster cluster,
      cli::LocalCluster::OpenOrCreate(FolderIn(dir), settings, [](const std::string&) {}));
  current_folder = cluster.dir();
  current.reset(new BenchCluster(plan, std::move(cluster)));
  const absl::Status up = current->Up();
  if (!up.ok()) {
    Drop();
    return up;
  }
  return current.get();
}

void BenchCluster::Drop() {
  current.reset();
  std::error_code ignored;
  if (!current_folder.empty()) std::filesystem::remove_all(current_folder, ignored);
  current_folder.clear();
}

BenchCluster::~BenchCluster() {
  // Nobody will open the data again.
  (void)cli::KillNodes(cluster_.state(), AllNames(cluster_.state()));
  for (const cli::NodeState& node : cluster_.state().nodes) {
    cli::WaitForExit(node.process, kPatience);
  }
}

absl::Status BenchCluster::Up() {
  RETURN_IF_ERROR(Start(NamesOf(cluster_.state(), /*compute=*/false), {}));
  RETURN_IF_ERROR(Start(NamesOf(cluster_.state(), /*compute=*/true), {}));
  RETURN_IF_ERROR(AwaitServing());
  RETURN_IF_ERROR(cluster_.MarkVolumeCreated());
  if (plan_.binlog_replicas == 0) RETURN_IF_ERROR(AwaitWhole());
  RETURN_IF_ERROR(AfflictMembers());
  return AwaitFollowers();
}

absl::Status BenchCluster::Start(const Names& names, const Names& more) {
  const Names storage = NamesOf(cluster_.state(), /*compute=*/false);
  const bool is_storage =
      std::find(storage.begin(), storage.end(), names.empty() ? "" : names[0]) != storage.end();
  Names flags = is_storage ? plan_.storage_flags : plan_.compute_flags;
  flags.insert(flags.end(), more.begin(), more.end());
  const std::lock_guard lock(starting);
  return cluster_.Start(names, "warn", kPatience, flags).status();
}

absl::Status BenchCluster::Kill(const Names& names) {
  for (const cli::NodeOutcome& outcome : cli::KillNodes(cluster_.state(), names)) {
    if (!outcome.is_ok) return absl::InternalError(Text(outcome.node, " ", outcome.did));
  }
  for (const cli::NodeState& node : cluster_.state().nodes) {
    if (std::find(names.begin(), names.end(), node.name) == names.end()) continue;
    if (!cli::WaitForExit(node.process, kPatience)) {
      return absl::InternalError(Text(node.name, " survives SIGKILL"));
    }
  }
  return absl::OkStatus();
}

const std::string& BenchCluster::writer() const { return cluster_.state().writer().listen; }

Names BenchCluster::followers() const {
  Names addresses;
  for (const cli::NodeState& node : cluster_.state().nodes) {
    if (node.is_reader) addresses.push_back(node.listen);
  }
  return addresses;
}

std::vector<pid_t> BenchCluster::Processes() const {
  std::vector<pid_t> pids;
  for (const cli::NodeState& node : cluster_.state().nodes) {
    if (cli::StateOf(node.process) != cli::ProcessState::kStopped) pids.push_back(node.process.pid);
  }
  return pids;
}

absl::StatusOr<v1::ComputeStatus> BenchCluster::WriterStatus() const {
  return cli::AskComputeNodes({writer()})[0];
}

absl::Status BenchCluster::AwaitServing() {
  return Await("the writer's start", [this]() -> std::string {
    const absl::StatusOr<bool> is_serving = cli::IsServing(writer());
    return is_serving.ok() && *is_serving ? "" : "it does not serve";
  });
}

absl::Status BenchCluster::AwaitWhole() {
  return Await("the segments' catching up", [this]() -> std::string {
    const auto status = WriterStatus();
    if (!status.ok()) return std::string(View(status.status().message()));
    for (const v1::PgProgress& pg : status->pgs()) {
      for (const v1::MemberProgress& member : pg.members()) {
        if (member.state() == "streaming" && member.scl() >= pg.last_lsn()) continue;
        return Text(member.node(), " is ", member.state(), ", SCL ", member.scl(), " of ",
                    pg.last_lsn());
      }
    }
    return "";
  });
}

absl::Status BenchCluster::AwaitFollowers() {
  return Await("the followers' start", [this]() -> std::string {
    for (const auto& status : cli::AskComputeNodes(followers())) {
      if (!status.ok()) return std::string(View(status.status().message()));
      if (status->phase() != "following") return Text(status->node(), " is ", status->phase());
    }
    return "";
  });
}

absl::Status BenchCluster::AfflictMembers() {
  if (plan_.members == Members::kWhole) return absl::OkStatus();
  const Names victims = VictimsOf(cluster_.state(), plan_.members);
  RETURN_IF_ERROR(Kill(victims));
  if (plan_.members != Members::kOneSlow) return absl::OkStatus();
  RETURN_IF_ERROR(Start(victims, {"--failpoint", kSlowDisk}));
  return AwaitWhole();
}

absl::StatusOr<absl::Duration> BenchCluster::RestartWriter() {
  const std::string name = cluster_.state().writer().name;
  RETURN_IF_ERROR(Kill({name}));
  const absl::Time killed = absl::Now();
  RETURN_IF_ERROR(Start({name}, {}));
  RETURN_IF_ERROR(AwaitServing());
  return absl::Now() - killed;
}

absl::StatusOr<std::map<std::string, double>> BenchCluster::WriterMetrics() const {
  httplib::Client http("http://" + cluster_.state().writer().metrics);
  http.set_connection_timeout(std::chrono::seconds(2));
  http.set_read_timeout(std::chrono::seconds(2));
  const httplib::Result answer = http.Get("/metrics");
  if (!answer || answer->status != 200) return absl::UnavailableError("the writer has no metrics");
  std::map<std::string, double> metrics;
  std::istringstream lines(answer->body);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    double value = 0;
    if (line.rfind('#', 0) != 0 && words >> name >> value) metrics[name] = value;
  }
  return metrics;
}

void EndCluster(const std::string& dir) {
  // Not for ever: a start that hangs must not keep what already runs alive.
  const bool is_quiet = starting.try_lock_for(std::chrono::seconds(5));
  (void)is_quiet;
  EndAll(FolderIn(dir));
}

}  // namespace sextant::bench
