// LocalCluster: the folder, and starting and stopping processes in order.
#include "cli/cluster/local_cluster.h"

#include <algorithm>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "cli/cluster/launch_command.h"
#include "cli/cluster/ports.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/volume/geometry.h"

namespace sextant::cli {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

bool Contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// DIR as an absolute path, made if it does not exist, refused if it holds anything but a cluster.
absl::StatusOr<std::string> PrepareFolder(const std::string& dir) {
  std::error_code error;
  const fs::path path = fs::absolute(dir, error).lexically_normal();
  fs::create_directories(path, error);
  if (error) return absl::UnavailableError(Text("cannot create ", dir, ": ", error.message()));
  if (fs::exists(path / "cluster.json")) return path.string();
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.path().filename() == kLockFileName) continue;
    return absl::InvalidArgumentError(
        Text(dir, " holds no cluster but is not empty (", entry.path().filename().string(),
             "): nothing was touched; name an empty or new folder with --dir"));
  }
  if (error) return absl::UnavailableError(Text("cannot read ", dir, ": ", error.message()));
  return path.string();
}

absl::Status CheckSettings(const ClusterSettings& has, const RequestedSettings& wants,
                           const std::string& dir) {
  const auto check = [&dir](const char* flag, uint64_t is, auto wanted) {
    if (!wanted || uint64_t{*wanted} == is) return absl::OkStatus();
    return absl::InvalidArgumentError(
        Text("the cluster in ", dir, " was made with ", flag, " ", is, ", not ", uint64_t{*wanted},
             ": leave the flag out, or name another folder with --dir"));
  };
  if (wants.mode.has_value() && *wants.mode != has.mode) {
    return absl::InvalidArgumentError(Text("the cluster in ", dir, " was made with --mode ",
                                           has.mode, ": name another folder with --dir"));
  }
  RETURN_IF_ERROR(check("--replicas", has.replicas, wants.replicas));
  RETURN_IF_ERROR(check("--semi-sync-acks", has.semi_sync_acks, wants.semi_sync_acks));
  RETURN_IF_ERROR(check("--segment-size", has.segment_bytes, wants.segment_bytes));
  RETURN_IF_ERROR(check("--page-size", has.page_bytes, wants.page_bytes));
  RETURN_IF_ERROR(check("--spares", has.spares, wants.spares));
  RETURN_IF_ERROR(check("--readers", has.readers, wants.readers));
  return check("--protection-groups", has.protection_groups, wants.protection_groups);
}

absl::StatusOr<ClusterState> CreateState(const std::string& dir,
                                         const RequestedSettings& requested) {
  ClusterSettings settings;
  settings.segment_bytes = requested.segment_bytes.value_or(settings.segment_bytes);
  settings.page_bytes = requested.page_bytes.value_or(settings.page_bytes);
  settings.spares = requested.spares.value_or(settings.spares);
  settings.readers = requested.readers.value_or(settings.readers);
  settings.mode = requested.mode.value_or(settings.mode);
  settings.replicas = requested.replicas.value_or(settings.replicas);
  settings.semi_sync_acks = requested.semi_sync_acks.value_or(settings.semi_sync_acks);
  if (settings.semi_sync_acks > settings.replicas) {
    return absl::InvalidArgumentError(Text("--semi-sync-acks ", settings.semi_sync_acks, " of ",
                                           settings.replicas, " replicas: no commit would end"));
  }
  settings.protection_groups = requested.protection_groups.value_or(settings.protection_groups);
  RETURN_IF_ERROR(volume::ValidateGeometry(settings.page_bytes, settings.segment_bytes,
                                           settings.protection_groups));
  ASSIGN_OR_RETURN(const std::vector<uint16_t> ports, PickFreePorts(PortsFor(settings)));
  const ClusterState state = NewClusterState(settings, ports);
  std::error_code error;
  for (const char* folder : {"logs", "run"}) fs::create_directories(fs::path(dir) / folder, error);
  if (error)
    return absl::UnavailableError(Text("cannot create folders in ", dir, ": ", error.message()));
  RETURN_IF_ERROR(SaveState(dir, state));
  return state;
}

// Whether the ready file was written by this very process.
bool IsReady(const std::string& path, pid_t pid) {
  std::ifstream file(path);
  if (!file) return false;
  const nlohmann::json json =
      nlohmann::json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  return json.is_object() && json.value("pid", 0) == pid;
}

// The CLI's own settings are no business of the servers, which may read variables of the same
// prefix.
const Names kOwnVariables = {"SEXTANT_DIR",    "SEXTANT_ENDPOINTS", "SEXTANT_OUTPUT",
                             "SEXTANT_CONFIG", "SEXTANT_MODE",      "SEXTANT_TIMEOUT_MS"};

bool WaitForState(ProcessId process, ProcessState state) {
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (StateOf(process) != state) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

// Sends `signal` to every one of `names` that lives, then waits until each is in `state`.
std::vector<NodeOutcome> SignalNodes(const ClusterState& cluster, const Names& names, int signal,
                                     ProcessState state, const std::string& did) {
  std::vector<NodeOutcome> outcomes;
  for (const NodeState& node : cluster.nodes) {
    if (!Contains(names, node.name)) continue;
    const ProcessState before = StateOf(node.process);
    if (before == state || before == ProcessState::kStopped) {
      const bool is_ok = before == state;
      outcomes.push_back(
          {node.name, is_ok ? Text("was ", ToString(before)) : "is not running", is_ok});
      continue;
    }
    const absl::Status sent = Signal(node.process, signal);
    outcomes.push_back({node.name, sent.ok() ? did : std::string(View(sent.message())), sent.ok()});
  }
  for (const NodeState& node : cluster.nodes) {
    const auto is_signalled = [&](const NodeOutcome& o) {
      return o.node == node.name && o.did == did;
    };
    const auto outcome = std::find_if(outcomes.begin(), outcomes.end(), is_signalled);
    if (outcome == outcomes.end() || WaitForState(node.process, state)) continue;
    *outcome = {node.name, Text("is still ", ToString(StateOf(node.process))), false};
  }
  return outcomes;
}

}  // namespace

LocalCluster::LocalCluster(std::string dir, FolderLock lock, ClusterState state, Progress progress)
    : dir_(std::move(dir)),
      lock_(std::move(lock)),
      state_(std::move(state)),
      progress_(std::move(progress)) {}

absl::StatusOr<LocalCluster> LocalCluster::OpenOrCreate(const std::string& dir,
                                                        const RequestedSettings& requested,
                                                        Progress progress) {
  RETURN_IF_ERROR(FindBinaries().status());  // before anything is touched
  ASSIGN_OR_RETURN(const std::string path, PrepareFolder(dir));
  ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(path, absl::ZeroDuration()));
  ClusterState state;
  if (fs::exists(StatePath(path))) {
    ASSIGN_OR_RETURN(state, LoadState(path));
    RETURN_IF_ERROR(CheckSettings(state.settings, requested, dir));
  } else {
    ASSIGN_OR_RETURN(state, CreateState(path, requested));
  }
  return LocalCluster(path, std::move(lock), std::move(state), std::move(progress));
}

absl::StatusOr<LocalCluster> LocalCluster::Open(const std::string& dir, absl::Duration patience,
                                                Progress progress) {
  RETURN_IF_ERROR(
      LoadState(dir).status());  // before the lock file could be made in a stranger's folder
  const std::string path = fs::absolute(dir).lexically_normal().string();
  ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(path, patience));
  ASSIGN_OR_RETURN(ClusterState state, LoadState(path));
  return LocalCluster(path, std::move(lock), std::move(state), std::move(progress));
}

NodeState* LocalCluster::FindNode(const std::string& name) {
  for (NodeState& node : state_.nodes) {
    if (node.name == name) return &node;
  }
  SEXTANT_CHECK(false) << "no node " << name;
  return nullptr;
}

absl::Status LocalCluster::LaunchNode(NodeState* node, const std::string& log_level,
                                      const Names& flags) {
  ASSIGN_OR_RETURN(const Binaries binaries, FindBinaries());
  std::error_code ignored;  // if it cannot be removed, its pid will not match
  fs::remove(ReadyPath(dir_, node->name), ignored);
  LaunchOptions options;
  options.command = NodeCommand(binaries, dir_, state_, *node, log_level, {.flags = flags});
  options.log_file = LogPath(dir_, node->name);
  options.drop_environment = kOwnVariables;
  ASSIGN_OR_RETURN(node->process, Launch(options));
  return SaveState(dir_, state_);
}

absl::Status LocalCluster::WaitUntilReady(const NodeState& node, absl::Time deadline) {
  while (!IsReady(ReadyPath(dir_, node.name), node.process.pid)) {
    if (WaitForExit(node.process, absl::ZeroDuration())) {
      return absl::UnavailableError(Text(node.name, " ended while it was starting. The end of ",
                                         LogPath(dir_, node.name), ":\n",
                                         LogTail(dir_, node.name)));
    }
    if (absl::Now() >= deadline) {
      return absl::UnavailableError(Text(
          node.name, " runs (pid ", node.process.pid, ") but did not open its ports. The end of ",
          LogPath(dir_, node.name), ":\n", LogTail(dir_, node.name)));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<NodeOutcome>> LocalCluster::Start(const Names& names,
                                                             const std::string& log_level,
                                                             absl::Duration timeout,
                                                             const Names& flags) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<NodeOutcome> outcomes;
  for (const std::string& name : names) {
    NodeState* node = FindNode(name);
    const ProcessState before = StateOf(node->process);
    if (before != ProcessState::kStopped) {
      outcomes.push_back({name, Text("was ", ToString(before), " already")});
      continue;
    }
    RETURN_IF_ERROR(LaunchNode(node, log_level, flags));
    progress_(Text("starting ", name, " (pid ", node->process.pid, ", ", node->listen, ")"));
    outcomes.push_back({name, "started"});
  }
  for (const NodeOutcome& outcome : outcomes) {
    if (outcome.did == "started")
      RETURN_IF_ERROR(WaitUntilReady(*FindNode(outcome.node), deadline));
  }
  return outcomes;
}

void LocalCluster::StopGroup(const Names& names, bool compute, absl::Duration grace,
                             std::vector<NodeOutcome>* outcomes) {
  std::vector<const NodeState*> asked;
  for (const NodeState& node : state_.nodes) {
    if (node.is_compute() != compute || !Contains(names, node.name)) continue;
    if (!Signal(node.process, SIGTERM).ok()) {
      outcomes->push_back({node.name, "was stopped"});
      continue;
    }
    (void)Signal(node.process, SIGCONT);  // a paused process could not act on SIGTERM
    progress_(Text("stopping ", node.name, " (pid ", node.process.pid, ")"));
    asked.push_back(&node);
  }
  const absl::Time deadline = absl::Now() + grace;
  for (const NodeState* node : asked) {
    if (WaitForExit(node->process, std::max(deadline - absl::Now(), absl::ZeroDuration()))) {
      outcomes->push_back({node->name, "stopped"});
      continue;
    }
    (void)Signal(node->process, SIGKILL);
    const bool is_gone = WaitForExit(node->process, absl::Seconds(5));
    outcomes->push_back(
        {node->name, is_gone ? "killed after the grace time" : "does not end", is_gone});
  }
}

std::vector<NodeOutcome> LocalCluster::Stop(const Names& names, absl::Duration grace) {
  std::vector<NodeOutcome> outcomes;
  StopGroup(names, /*compute=*/true, grace, &outcomes);
  StopGroup(names, /*compute=*/false, grace, &outcomes);
  return outcomes;
}

absl::Status LocalCluster::MarkVolumeCreated() {
  if (state_.is_volume_created) return absl::OkStatus();
  state_.is_volume_created = true;
  return SaveState(dir_, state_);
}

std::vector<NodeOutcome> KillNodes(const ClusterState& state, const Names& names) {
  return SignalNodes(state, names, SIGKILL, ProcessState::kStopped, "killed");
}
std::vector<NodeOutcome> PauseNodes(const ClusterState& state, const Names& names) {
  return SignalNodes(state, names, SIGSTOP, ProcessState::kPaused, "paused");
}
std::vector<NodeOutcome> ResumeNodes(const ClusterState& state, const Names& names) {
  return SignalNodes(state, names, SIGCONT, ProcessState::kRunning, "resumed");
}

std::string LogTail(const std::string& dir, const std::string& node, int lines) {
  std::ifstream file(LogPath(dir, node));
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    last.push_back("  " + line + "\n");
    if (static_cast<int>(last.size()) > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += line;
  return text;
}

}  // namespace sextant::cli
