// `sextant cluster ...`: verbs that change the processes of a local cluster. Status has its own
// file.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "cli/client/status_client.h"
#include "cli/cluster/local_cluster.h"
#include "cli/command/cluster_status.h"
#include "cli/command/context.h"
#include "common/base/byte_size.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

using Names = std::vector<std::string>;
using Json = nlohmann::ordered_json;

// Flags of all verbs; each verb reads its own.
struct ClusterFlags {
  RequestedSettings settings;
  Names targets;
  std::string log_level;
  bool no_wait = false;
  int timeout_ms = 60000;
  int grace_ms = 10000;
  StatusFlags status;
};

void PrintProgress(const std::string& line) { std::cerr << line << std::endl; }

// Rewrites one line on a terminal; elsewhere prints a line whenever the text changes.
class ProgressLine {
 public:
  void Show(const std::string& text) {
    if (text == shown_) return;
    shown_ = text;
    if (is_terminal_) {
      std::cerr << "\r\x1b[K" << text << std::flush;
    } else {
      std::cerr << text << std::endl;
    }
  }
  ~ProgressLine() {
    if (is_terminal_ && !shown_.empty()) std::cerr << "\r\x1b[K" << std::flush;
  }

 private:
  const bool is_terminal_ = isatty(STDERR_FILENO) == 1;
  std::string shown_;
};

// Waits until the compute node's health is SERVING, telling what it waits for meanwhile.
absl::Status WaitUntilServing(const LocalCluster& cluster, const NodeState& node,
                              absl::Time deadline) {
  ProgressLine progress;
  std::string seen = "it does not answer yet";
  while (absl::Now() < deadline) {
    const absl::StatusOr<bool> serving = IsServing(node.listen);
    if (serving.ok() && *serving) return absl::OkStatus();
    if (StateOf(node.process) == ProcessState::kStopped) {
      return absl::UnavailableError(Text(node.name, " ended. The end of ",
                                         LogPath(cluster.dir(), node.name), ":\n",
                                         LogTail(cluster.dir(), node.name)));
    }
    if (const auto answer = AskComputeNodes({node.listen})[0]; answer.ok()) {
      const bool has_detail = !answer->detail().empty() && answer->detail() != answer->phase();
      seen = has_detail ? Text(answer->phase(), ": ", answer->detail()) : answer->phase();
      progress.Show(node.name + ": " + seen);
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::UnavailableError(
      Text(node.name, " does not serve yet (", seen, "). The processes go on. The end of ",
           LogPath(cluster.dir(), node.name), ":\n", LogTail(cluster.dir(), node.name)));
}

Json NodesJson(const ClusterState& state) {
  Json nodes = Json::array();
  for (const NodeState& node : state.nodes) {
    nodes.push_back({{"name", node.name},
                     {"role", node.is_writer() ? "writer"
                              : node.is_reader ? "reader"
                                               : "storage"},
                     {"zone", node.zone},
                     {"listen", node.listen},
                     {"metrics", node.metrics},
                     {"pid", node.process.pid},
                     {"process", ToString(StateOf(node.process))}});
  }
  return nodes;
}

int PrintOutcomes(const GlobalOptions& options, const std::vector<NodeOutcome>& outcomes) {
  bool is_ok = true;
  Json json = Json::array();
  for (const NodeOutcome& outcome : outcomes) {
    is_ok = is_ok && outcome.is_ok;
    json.push_back({{"node", outcome.node}, {"did", outcome.did}, {"ok", outcome.is_ok}});
    if (!options.json()) std::cout << outcome.node << " " << outcome.did << "\n";
  }
  if (options.json()) std::cout << Json({{"nodes", json}}).dump(2) << "\n";
  return is_ok ? kExitOk : kExitFailed;
}

Names NamesOf(const ClusterState& state, bool (*belongs)(const NodeState&)) {
  Names names;
  for (const NodeState& node : state.nodes) {
    if (belongs(node)) names.push_back(node.name);
  }
  return names;
}

// Those of `names` that are compute nodes, the writer before the readers: a reader serves when it
// has found somebody to follow.
absl::Status WaitForComputeNodes(LocalCluster* cluster, const Names& names, absl::Time deadline) {
  for (const NodeState& node : cluster->state().nodes) {
    const bool is_meant = std::find(names.begin(), names.end(), node.name) != names.end();
    if (!node.is_compute() || !is_meant) continue;
    RETURN_IF_ERROR(WaitUntilServing(*cluster, node, deadline));
    if (node.is_writer()) RETURN_IF_ERROR(cluster->MarkVolumeCreated());
  }
  return absl::OkStatus();
}

void PrintUp(const GlobalOptions& options, const LocalCluster& cluster, bool is_serving) {
  const NodeState& writer = cluster.state().writer();
  if (options.json()) {
    std::cout << Json({{"dir", cluster.dir()},
                       {"endpoint", writer.listen},
                       {"serving", is_serving},
                       {"nodes", NodesJson(cluster.state())}})
                     .dump(2)
              << "\n";
    return;
  }
  std::cout << "cluster is up in " << cluster.dir() << "; the " << writer.name << " "
            << (is_serving ? "serves at " : "was started at ") << writer.listen << "\n";
  for (const NodeState& node : cluster.state().nodes) {
    if (node.is_reader) std::cout << node.name << " at " << node.listen << "\n";
  }
}

absl::Status Up(const GlobalOptions& options, const ClusterFlags& flags) {
  const absl::Duration timeout = absl::Milliseconds(flags.timeout_ms);
  const absl::Time deadline = absl::Now() + timeout;
  ASSIGN_OR_RETURN(LocalCluster cluster,
                   LocalCluster::OpenOrCreate(options.dir, flags.settings, PrintProgress));
  const Names storage =
      NamesOf(cluster.state(), [](const NodeState& node) { return !node.is_compute(); });
  const Names compute =
      NamesOf(cluster.state(), [](const NodeState& node) { return node.is_compute(); });
  RETURN_IF_ERROR(cluster.Start(storage, flags.log_level, timeout).status());
  RETURN_IF_ERROR(cluster.Start(compute, flags.log_level, timeout).status());
  if (!flags.no_wait) RETURN_IF_ERROR(WaitForComputeNodes(&cluster, compute, deadline));
  PrintUp(options, cluster, !flags.no_wait);
  return absl::OkStatus();
}

int RunUp(const GlobalOptions& options, const ClusterFlags& flags) {
  const absl::Status status = Up(options, flags);
  if (status.ok()) return kExitOk;
  return Fail(status, absl::IsUnavailable(status)
                          ? Text("`sextant cluster status --dir ", options.dir,
                                 "` shows what runs; `cluster up` again restarts what does not")
                          : "");
}

int RunDown(const GlobalOptions& options, const ClusterFlags& flags) {
  absl::StatusOr<LocalCluster> cluster =
      LocalCluster::Open(options.dir, absl::Seconds(30), PrintProgress);
  if (!cluster.ok()) return Fail(cluster.status());
  const absl::StatusOr<Names> names = ResolveTargets(cluster->state(), {"all"});
  return PrintOutcomes(options, cluster->Stop(*names, absl::Milliseconds(flags.grace_ms)));
}

int RunStart(const GlobalOptions& options, const ClusterFlags& flags) {
  absl::StatusOr<LocalCluster> cluster =
      LocalCluster::Open(options.dir, absl::Seconds(30), PrintProgress);
  if (!cluster.ok()) return Fail(cluster.status());
  const absl::StatusOr<Names> names = ResolveTargets(cluster->state(), flags.targets);
  if (!names.ok()) return Fail(names.status());
  const absl::Duration timeout = absl::Milliseconds(flags.timeout_ms);
  const auto outcomes = cluster->Start(*names, flags.log_level, timeout);
  if (!outcomes.ok()) return Fail(outcomes.status());
  if (!flags.no_wait) {
    const absl::Status status = WaitForComputeNodes(&*cluster, *names, absl::Now() + timeout);
    if (!status.ok()) return Fail(status, "--no-wait does not wait for it");
  }
  return PrintOutcomes(options, *outcomes);
}

using SignalVerb = std::vector<NodeOutcome> (*)(const ClusterState&, const Names&);

int RunSignal(const GlobalOptions& options, const ClusterFlags& flags, SignalVerb verb) {
  const absl::StatusOr<ClusterState> state = LoadState(options.dir);
  if (!state.ok()) return Fail(state.status());
  const absl::StatusOr<Names> names = ResolveTargets(*state, flags.targets);
  if (!names.ok()) return Fail(names.status());
  return PrintOutcomes(options, verb(*state, *names));
}

void AddUp(CLI::App* noun, Cli* cli, ClusterFlags* flags) {
  CLI::App* verb = noun->add_subcommand("up",
                                        "Starts a cluster of six storage nodes in three zones, a "
                                        "writer and readers, or what of it is "
                                        "down.");
  AddGlobalOptions(verb, &cli->options, Reach::kLocalOnly);
  const auto set_size = [flags](const std::string& text) {
    const absl::StatusOr<uint64_t> bytes = ParseByteSize(text);
    if (!bytes.ok())
      throw CLI::ValidationError("--segment-size", std::string(View(bytes.status().message())));
    flags->settings.segment_bytes = *bytes;
  };
  verb->add_option_function<std::string>(
          "--segment-size", set_size, "Makes each protection group this large (new clusters only).")
      ->type_name("SIZE")
      ->default_str("10GiB");
  verb->add_option("--protection-groups", flags->settings.protection_groups,
                   "Makes the volume of this many protection groups (new clusters only) [1].");
  verb->add_option("--spares", flags->settings.spares,
                   "Adds a spare storage node in so many of the zones, for `segment replace` (new "
                   "clusters only) [0].")
      ->check(CLI::Range(0, 3));
  verb->add_option("--readers", flags->settings.readers,
                   "Adds so many compute nodes that read, reader-1 and so on (new clusters only) "
                   "[0].")
      ->check(CLI::Range(0, 15));
  verb->add_option("--mode", flags->settings.mode,
                   "Replicates by the log (storage nodes), or by the traditional path's binlog (a "
                   "source and replicas; new clusters only) [log].")
      ->check(CLI::IsMember({"log", "binlog"}));
  verb->add_option("--replicas", flags->settings.replicas,
                   "Makes so many replicas, replica-1 and so on (--mode binlog) [2].")
      ->check(CLI::Range(0, 15));
  verb->add_option("--semi-sync-acks", flags->settings.semi_sync_acks,
                   "Answers a commit when so many replicas have synced it; 0: at once (--mode "
                   "binlog) [0].")
      ->check(CLI::Range(0, 15));
  const auto set_page = [flags](const std::string& text) {
    const absl::StatusOr<uint64_t> bytes = ParseByteSize(text);
    if (!bytes.ok() || *bytes > 65536) {
      throw CLI::ValidationError("--page-size", "expects a power of two from 512 to 65536");
    }
    flags->settings.page_bytes = static_cast<uint32_t>(*bytes);
  };
  verb->add_option_function<std::string>("--page-size", set_page,
                                         "Makes pages this large (new clusters only).")
      ->type_name("SIZE")
      ->default_str("4KiB");
  verb->add_option("--log-level", flags->log_level, "Has the nodes log from this level on.")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
  verb->add_option("--timeout-ms", flags->timeout_ms,
                   "Waits at most so long for the writer to serve.")
      ->capture_default_str();
  verb->add_flag("--no-wait", flags->no_wait, "Does not wait for the writer to serve.");
  verb->callback([cli, flags] { cli->run = [cli, flags] { return RunUp(cli->options, *flags); }; });
}

void AddDownAndStart(CLI::App* noun, Cli* cli, ClusterFlags* flags) {
  CLI::App* down = noun->add_subcommand("down", "Stops every process gracefully; the data stays.");
  AddGlobalOptions(down, &cli->options, Reach::kLocalOnly);
  down->add_option("--grace-ms", flags->grace_ms, "Kills what has not ended after so long.")
      ->capture_default_str();
  down->callback(
      [cli, flags] { cli->run = [cli, flags] { return RunDown(cli->options, *flags); }; });

  CLI::App* start = noun->add_subcommand("start", "Starts nodes that do not run.");
  AddGlobalOptions(start, &cli->options, Reach::kLocalOnly);
  start->add_option("target", flags->targets, "Nodes (az1-a, writer), zones (az1), or all.")
      ->required();
  start->add_option("--log-level", flags->log_level, "Has the nodes log from this level on.");
  start->add_option("--timeout-ms", flags->timeout_ms, "Waits at most so long.")
      ->capture_default_str();
  start->add_flag("--no-wait", flags->no_wait, "Does not wait for the writer to serve.");
  start->callback(
      [cli, flags] { cli->run = [cli, flags] { return RunStart(cli->options, *flags); }; });
}

void AddSignalVerb(CLI::App* noun, Cli* cli, ClusterFlags* flags, const char* name,
                   const char* help, SignalVerb signal_verb) {
  CLI::App* verb = noun->add_subcommand(name, help);
  AddGlobalOptions(verb, &cli->options, Reach::kLocalOnly);
  verb->add_option("target", flags->targets, "Nodes (az1-a, writer), zones (az1), or all.")
      ->required();
  verb->callback([cli, flags, signal_verb] {
    cli->run = [cli, flags, signal_verb] { return RunSignal(cli->options, *flags, signal_verb); };
  });
}

}  // namespace

void AddClusterCommands(CLI::App* app, Cli* cli) {
  CLI::App* noun =
      app->add_subcommand("cluster", "Runs a local cluster of real processes and shows any.");
  noun->require_subcommand(1);
  static ClusterFlags flags;  // lives as long as the callbacks that read it
  AddUp(noun, cli, &flags);
  AddDownAndStart(noun, cli, &flags);
  AddSignalVerb(noun, cli, &flags, "kill", "Kills nodes at once (SIGKILL), as a crash would.",
                KillNodes);
  AddSignalVerb(noun, cli, &flags, "pause",
                "Freezes nodes (SIGSTOP): they keep their ports and fall silent.", PauseNodes);
  AddSignalVerb(noun, cli, &flags, "resume", "Lets paused nodes go on (SIGCONT).", ResumeNodes);
  AddStatusVerb(noun, cli, &flags.status);
}

}  // namespace sextant::cli
