// See fault_cluster.h.
#include "fault/cluster/fault_cluster.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/client/compute_client.h"
#include "cli/client/status_client.h"
#include "cli/cluster/launch_command.h"
#include "cli/cluster/local_cluster.h"
#include "cli/cluster/ports.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::fault {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr absl::Duration kStartTimeout = absl::Seconds(60);
constexpr absl::Duration kStopTimeout = absl::Seconds(60);
constexpr char kStandbyName[] = "standby";

bool IsReady(const std::string& path, pid_t pid) {
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.value("pid", 0) == pid;
}

absl::Status AllOk(const std::vector<cli::NodeOutcome>& outcomes) {
  for (const cli::NodeOutcome& outcome : outcomes) {
    if (!outcome.is_ok) {
      return absl::InternalError(Text(outcome.node, " ", outcome.did));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FaultCluster>> FaultCluster::Make(FaultClusterOptions options) {
  RETURN_IF_ERROR(cli::FindBinaries().status());
  std::unique_ptr<FaultCluster> cluster(new FaultCluster(std::move(options)));
  RETURN_IF_ERROR(cluster->MakeFolder());
  if (cluster->options_.has_disks) RETURN_IF_ERROR(cluster->MakeDisks());
  if (cluster->options_.has_links) RETURN_IF_ERROR(cluster->MakeLinks());
  return cluster;
}

FaultCluster::~FaultCluster() {
  Names all;
  for (const cli::NodeState& node : state_.nodes) all.push_back(node.name);
  (void)cli::KillNodes(state_, all);
  for (const cli::NodeState& node : state_.nodes) cli::WaitForExit(node.process, kStopTimeout);
}

absl::Status FaultCluster::MakeFolder() {
  std::error_code error;
  options_.directory = fs::absolute(options_.directory, error).lexically_normal().string();
  for (const char* folder : {"/logs", "/run"}) {
    fs::create_directories(options_.directory + folder, error);
    if (error) {
      return absl::UnavailableError(
          Text("cannot make ", options_.directory, folder, ": ", error.message()));
    }
  }
  cli::ClusterSettings settings;
  settings.segment_bytes = options_.segment_bytes;
  settings.readers = static_cast<uint32_t>(options_.readers);
  if (is_binlog()) {
    settings.mode = "binlog";
    settings.replicas = static_cast<uint32_t>(options_.replicas);
    settings.semi_sync_acks = static_cast<uint32_t>(options_.semi_sync_acks);
  }
  ASSIGN_OR_RETURN(std::vector<uint16_t> ports, cli::PickFreePorts(cli::PortsFor(settings) + 2));
  const std::vector<uint16_t> own(ports.end() - 2, ports.end());
  ports.resize(ports.size() - 2);
  state_ = cli::NewClusterState(settings, ports);
  leader_ = state_.writer().name;
  if (options_.has_standby) {
    cli::NodeState standby = state_.writer();
    standby.name = kStandbyName;
    standby.listen = Text("127.0.0.1:", own[0]);
    standby.metrics = Text("127.0.0.1:", own[1]);
    state_.nodes.push_back(std::move(standby));
  }
  return cli::SaveState(options_.directory, state_);
}

absl::Status FaultCluster::MakeDisks() {
  disks_ = std::make_unique<Disks>(options_.directory + "/disks");
  for (const cli::NodeState& node : state_.nodes) {
    if (node.is_compute() && !is_binlog()) continue;
    RETURN_IF_ERROR(
        disks_->Add(node.name, cli::DataPath(options_.directory, node.name), options_.disk_bytes));
  }
  return absl::OkStatus();
}

absl::Status FaultCluster::MakeLinks() {
  ASSIGN_OR_RETURN(relay_, Relay::Start());
  for (const cli::NodeState& from : state_.nodes) {
    for (const cli::NodeState& to : state_.nodes) {
      if (to.is_compute() || from.name == to.name) continue;
      ASSIGN_OR_RETURN(link_ports_[std::make_pair(from.name, to.name)],
                       relay_->AddLink(from.name, to.name, to.listen));
    }
  }
  return absl::OkStatus();
}

Topology FaultCluster::topology() const {
  Topology topology;
  for (const cli::NodeState& node : state_.nodes) {
    if (node.is_compute()) {
      const bool may_lead = options_.readers + options_.replicas > 0 && node.name != leader_;
      if (may_lead) topology.readers.push_back(node.name);
      continue;
    }
    if (topology.zones.empty() || topology.zones.back().name != node.zone) {
      topology.zones.push_back({node.zone, {}});
    }
    topology.zones.back().nodes.push_back(node.name);
  }
  topology.writer = leader_;
  return topology;
}

std::vector<std::string> FaultCluster::WriterEndpoints() const {
  Names endpoints;
  for (const cli::NodeState& node : state_.nodes) {
    if (node.is_writer()) endpoints.push_back(node.listen);
  }
  return endpoints;
}

std::vector<std::string> FaultCluster::ReaderEndpoints() const {
  Names endpoints;
  for (const cli::NodeState& node : state_.nodes) {
    if (node.is_reader) endpoints.push_back(node.listen);
  }
  return endpoints;
}

std::string FaultCluster::LeaderEndpoint() const {
  for (const cli::NodeState& node : state_.nodes) {
    if (node.name == leader_) return node.listen;
  }
  return "";
}

cli::NodeState* FaultCluster::Find(const std::string& name) {
  for (cli::NodeState& node : state_.nodes) {
    if (node.name == name) return &node;
  }
  SEXTANT_CHECK(false) << "no node " << name;
  return nullptr;
}

absl::Status FaultCluster::Launch(cli::NodeState* node, const Names& flags) {
  ASSIGN_OR_RETURN(const cli::Binaries binaries, cli::FindBinaries());
  std::error_code ignored;
  fs::remove(cli::ReadyPath(options_.directory, node->name), ignored);
  cli::LaunchChanges changes;
  changes.flags = flags;
  const Names& more = node->is_compute() ? options_.compute_flags : options_.storage_flags;
  changes.flags.insert(changes.flags.end(), more.begin(), more.end());
  changes.route = [this](const cli::NodeState& from, const cli::NodeState& to) {
    const auto port = link_ports_.find(std::make_pair(from.name, to.name));
    return port == link_ports_.end() ? to.listen : Text("127.0.0.1:", port->second);
  };
  cli::LaunchOptions launch;
  launch.command = cli::NodeCommand(binaries, options_.directory, state_, *node,
                                    /*log_level=*/"", changes);
  launch.log_file = cli::LogPath(options_.directory, node->name);
  std::lock_guard lock(launch_mutex_);
  if (is_ended_) return absl::CancelledError("the run was ended");
  ASSIGN_OR_RETURN(node->process, cli::Launch(launch));
  up_.insert(node->name);
  return cli::SaveState(options_.directory, state_);
}

absl::Status FaultCluster::AwaitReady(const cli::NodeState& node, absl::Time deadline) {
  const std::string path = cli::ReadyPath(options_.directory, node.name);
  while (!IsReady(path, node.process.pid)) {
    const bool has_ended = cli::WaitForExit(node.process, absl::ZeroDuration());
    if (has_ended || absl::Now() >= deadline) {
      if (has_ended) up_.erase(node.name);
      return absl::UnavailableError(
          Text(node.name, has_ended ? " ended while it was starting:\n" : " opens no port:\n",
               cli::LogTail(options_.directory, node.name)));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return absl::OkStatus();
}

absl::Status FaultCluster::Start(const Names& names, const Names& flags) {
  const absl::Time deadline = absl::Now() + kStartTimeout;
  Names started;
  for (const std::string& name : names) {
    cli::NodeState* node = Find(name);
    if (cli::StateOf(node->process) != cli::ProcessState::kStopped) continue;
    RETURN_IF_ERROR(Launch(node, flags));
    started.push_back(name);
  }
  for (const std::string& name : started) RETURN_IF_ERROR(AwaitReady(*Find(name), deadline));
  return absl::OkStatus();
}

absl::Status FaultCluster::Stop(const std::string& name) {
  up_.erase(name);
  const cli::NodeState& node = *Find(name);
  RETURN_IF_ERROR(cli::Signal(node.process, SIGTERM));
  if (cli::WaitForExit(node.process, kStopTimeout)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      Text(name, " does not stop:\n", cli::LogTail(options_.directory, name)));
}

absl::Status FaultCluster::Kill(const Names& names) {
  Names alive;
  for (const std::string& name : names) {
    up_.erase(name);
    if (cli::StateOf(Find(name)->process) != cli::ProcessState::kStopped) alive.push_back(name);
  }
  // A process may end by itself just before: then there is nothing to complain of.
  (void)cli::KillNodes(state_, alive);
  for (const std::string& name : alive) {
    if (!cli::WaitForExit(Find(name)->process, kStopTimeout)) {
      return absl::InternalError(Text(name, " survives SIGKILL"));
    }
  }
  return absl::OkStatus();
}

absl::Status FaultCluster::Pause(const Names& names) {
  return AllOk(cli::PauseNodes(state_, names));
}

absl::Status FaultCluster::Resume(const Names& names) {
  return AllOk(cli::ResumeNodes(state_, names));
}

absl::Status FaultCluster::AwaitExit(const std::string& name, absl::Duration timeout) {
  up_.erase(name);
  if (cli::WaitForExit(Find(name)->process, timeout)) return absl::OkStatus();
  return absl::DeadlineExceededError(Text(name, " has not ended"));
}

absl::Status FaultCluster::TakeOver() {
  for (const cli::NodeState& node : state_.nodes) {
    if (!node.is_writer() || node.name == leader_) continue;
    RETURN_IF_ERROR(Start({node.name}));
    leader_ = node.name;
    return AwaitServing(kStartTimeout);
  }
  return absl::FailedPreconditionError("there is no other compute node");
}

absl::Status FaultCluster::Promote(const Names& names) {
  Names endpoints;
  for (const std::string& name : names) endpoints.push_back(Find(name)->listen);
  const absl::Time deadline = absl::Now() + kStartTimeout;
  absl::Status status = absl::UnavailableError("none of those that may lead answers");
  while (absl::Now() < deadline) {
    // The best may be between two streams, and know nobody to ask; or another one is it by now.
    const std::optional<size_t> best = cli::MostAdvanced(cli::AskComputeNodes(endpoints));
    if (best.has_value()) {
      const auto answer = cli::Promote(endpoints[*best], /*is_forced=*/false, absl::Seconds(10));
      if (answer.ok()) {
        leader_ = names[*best];
        return AwaitLeading(answer->role(), deadline);
      }
      status = answer.status();
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return status;
}

absl::Status FaultCluster::AwaitLeading(const std::string& role, absl::Time deadline) {
  const std::string endpoint = LeaderEndpoint();
  while (absl::Now() < deadline) {
    const auto answer = cli::AskComputeNodes({endpoint})[0];
    if (answer.ok() && answer->role() == role && answer->phase() == "open") {
      return absl::OkStatus();
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::DeadlineExceededError(Text(leader_, " was promoted and does not lead:\n",
                                          cli::LogTail(options_.directory, leader_)));
}

size_t FaultCluster::EndAll() {
  std::lock_guard lock(launch_mutex_);
  is_ended_ = true;
  size_t count = 0;
  for (const cli::NodeState& node : state_.nodes) {
    count += cli::Signal(node.process, SIGKILL).ok() ? 1 : 0;
  }
  for (const cli::NodeState& node : state_.nodes) cli::WaitForExit(node.process, kStopTimeout);
  return count;
}

absl::Status FaultCluster::RetireOldLeader() {
  for (const cli::NodeState& node : state_.nodes) {
    if (!options_.has_standby || !node.is_writer() || node.name == leader_) continue;
    RETURN_IF_ERROR(Kill({node.name}));
  }
  return absl::OkStatus();
}

absl::Status FaultCluster::SetLinks(const Names& from, const Names& to, const LinkFault& fault) {
  const LinkFault reverse{fault.back, fault.there, fault.is_cut};
  for (const std::string& a : from) {
    for (const std::string& b : to) {
      if (link_ports_.count(std::make_pair(a, b)) > 0) RETURN_IF_ERROR(relay_->Set(a, b, fault));
      if (link_ports_.count(std::make_pair(b, a)) > 0) RETURN_IF_ERROR(relay_->Set(b, a, reverse));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> FaultCluster::UnexpectedEnds() {
  Names ends;
  for (const cli::NodeState& node : state_.nodes) {
    if (up_.count(node.name) == 0) continue;
    if (cli::StateOf(node.process) != cli::ProcessState::kStopped) continue;
    cli::WaitForExit(node.process, absl::ZeroDuration());  // reaps it
    up_.erase(node.name);
    ends.push_back(
        Text(node.name, " ended by itself:\n", cli::LogTail(options_.directory, node.name)));
  }
  return ends;
}

}  // namespace sextant::fault
