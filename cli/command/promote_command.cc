// `sextant promote NODE`: makes a compute node lead, and waits until it does.
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/client/compute_client.h"
#include "cli/client/status_client.h"
#include "cli/client/volume_client.h"
#include "cli/command/compute_nodes.h"
#include "cli/command/context.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr absl::Duration kPollInterval = absl::Milliseconds(10);

struct PromoteFlags {
  std::string node;
  bool force = false;
  bool no_wait = false;
  int timeout_ms = 60'000;
};

// Until the node is what it was asked to become, and open.
absl::Status WaitUntilOpen(const std::string& address, const std::string& role,
                           absl::Time deadline) {
  std::string seen = "it does not answer";
  while (absl::Now() < deadline) {
    const absl::StatusOr<v1::ComputeStatus> status = AskComputeNodes({address})[0];
    if (status.ok()) {
      if (status->role() == role && status->phase() == "open") return absl::OkStatus();
      seen = Text(status->role(), ", ", status->phase());
      if (!status->detail().empty() && status->detail() != status->phase()) {
        seen += ": " + status->detail();
      }
    }
    absl::SleepFor(kPollInterval);
  }
  return absl::UnavailableError(Text("the promotion goes on, but is not over yet (", seen,
                                     "): `sextant cluster status` shows it"));
}

// A courtesy: an old writer that lives and idles would learn of its successor by the next commit of
// a client, and could not say what became of that.
void TellOldWriters(const GlobalOptions& options, const std::string& promoted) {
  const auto nodes = AskAllComputeNodes(options, /*learns=*/true);
  if (!nodes.ok()) return;
  for (const ComputeNodeAnswer& node : *nodes) {
    if (!node.status.ok() || node.status->role() != "writer" || node.address == promoted) continue;
    ProveWriter(node.address).IgnoreError();
  }
}

// Of those that do not lead, the one that shows most.
absl::StatusOr<std::string> AddressOfTheBest(const GlobalOptions& options) {
  ASSIGN_OR_RETURN(std::vector<ComputeNodeAnswer> nodes,
                   AskAllComputeNodes(options, /*learns=*/true));
  std::vector<absl::StatusOr<v1::ComputeStatus>> answers;
  for (ComputeNodeAnswer& node : nodes) answers.push_back(std::move(node.status));
  const std::optional<size_t> best = MostAdvanced(answers);
  if (best.has_value()) return nodes[*best].address;
  return absl::UnavailableError("no reader or replica answers: there is none to promote");
}

int RunPromote(const GlobalOptions& options, const PromoteFlags& flags) {
  const absl::StatusOr<std::string> address =
      flags.node.empty() ? AddressOfTheBest(options) : AddressOfNode(options, flags.node);
  if (!address.ok()) return Fail(address.status());
  const std::string name = flags.node.empty() ? "the node" : flags.node;
  const absl::Time begin = absl::Now();
  const absl::StatusOr<v1::PromoteResponse> answer = Promote(*address, flags.force, kCallTimeout);
  absl::Status status = answer.status();
  if (status.ok() && !answer->warning().empty()) {
    std::cerr << "sextant: warning: " << answer->warning() << "\n";
  }
  if (status.ok() && !flags.no_wait) {
    status = WaitUntilOpen(*address, answer->role(), begin + absl::Milliseconds(flags.timeout_ms));
  }
  if (!status.ok()) return Fail(status);
  const double ms = absl::ToDoubleMilliseconds(absl::Now() - begin);
  if (!flags.no_wait) TellOldWriters(options, *address);
  if (options.json()) {
    std::cout << Json({{"node", flags.node},
                       {"address", *address},
                       {"role", answer->role()},
                       {"warning", answer->warning()},
                       {"over", !flags.no_wait},
                       {"ms", ms}})
                     .dump(2)
              << "\n";
  } else {
    std::cout << name << (flags.no_wait ? " becomes the " : " is the ") << answer->role() << ", at "
              << *address << (flags.no_wait ? "" : absl::StrFormat(", after %.0f ms", ms)) << "\n";
  }
  return kExitOk;
}

}  // namespace

void AddPromoteCommand(CLI::App* app, Cli* cli) {
  static PromoteFlags flags;  // lives as long as the callback that reads it
  CLI::App* verb = app->add_subcommand(
      "promote",
      "Makes a compute node lead: a reader becomes the writer, and the old writer is fenced; or a "
      "binlog replica becomes the source.");
  AddGlobalOptions(verb, &cli->options, Reach::kAnyCluster);
  verb->add_option("node", flags.node,
                   "Promotes the compute node of this name [of those that follow, the one that has "
                   "most].");
  verb->add_flag(
      "--force", flags.force,
      "Promotes a binlog replica even where transactions that clients were told of may be "
      "lost, and says which: where too few of the others answer, or one holds more.");
  verb->add_flag("--no-wait", flags.no_wait, "Does not wait until it serves.");
  verb->add_option("--timeout-ms", flags.timeout_ms, "Waits at most so long.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->callback([cli] { cli->run = [cli] { return RunPromote(cli->options, flags); }; });
}

}  // namespace sextant::cli
