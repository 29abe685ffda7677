// See compute_nodes.h.
#include "cli/command/compute_nodes.h"

#include <algorithm>
#include <set>
#include <utility>

#include "cli/client/status_client.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

void Ask(const std::vector<std::string>& addresses, std::vector<ComputeNodeAnswer>* answers) {
  auto statuses = AskComputeNodes(addresses);
  for (size_t i = 0; i < addresses.size(); ++i) {
    answers->push_back({addresses[i], std::move(statuses[i])});
  }
}

// Addresses that the answers name, of nodes that have not answered themselves.
std::vector<std::string> Named(const std::vector<ComputeNodeAnswer>& answers) {
  std::set<std::string> nodes;
  std::set<std::string> addresses;
  for (const ComputeNodeAnswer& answer : answers) {
    addresses.insert(answer.address);
    if (answer.status.ok()) nodes.insert(answer.status->node());
  }
  std::vector<std::string> named;
  for (const ComputeNodeAnswer& answer : answers) {
    if (!answer.status.ok()) continue;
    for (const v1::ComputeNodeAddress& node : answer.status->compute_nodes()) {
      if (nodes.count(node.node()) > 0 || !addresses.insert(node.address()).second) continue;
      named.push_back(node.address());
    }
  }
  return named;
}

}  // namespace

absl::StatusOr<std::vector<ComputeNodeAnswer>> AskAllComputeNodes(const GlobalOptions& options,
                                                                  bool learns) {
  ASSIGN_OR_RETURN(const std::vector<std::string> endpoints, ComputeEndpoints(options));
  std::vector<ComputeNodeAnswer> answers;
  Ask(endpoints, &answers);
  if (learns) Ask(Named(answers), &answers);
  return answers;
}

absl::StatusOr<WriterAnswer> AskWriter(const GlobalOptions& options) {
  ASSIGN_OR_RETURN(std::vector<ComputeNodeAnswer> answers,
                   AskAllComputeNodes(options, /*learns=*/true));
  ComputeNodeAnswer& chosen = answers[IndexOfWriter(answers)];
  RETURN_IF_ERROR(chosen.status.status());
  return WriterAnswer{std::move(chosen.address), *std::move(chosen.status)};
}

absl::StatusOr<std::string> AddressOfNode(const GlobalOptions& options, const std::string& name) {
  std::string known;
  if (options.endpoints.empty()) {
    ASSIGN_OR_RETURN(const ClusterState state, LoadState(options.dir));
    for (const NodeState& node : state.nodes) {
      if (!node.is_compute()) continue;
      if (node.name == name) return node.listen;
      known += " " + node.name;
    }
  } else {
    ASSIGN_OR_RETURN(const std::vector<ComputeNodeAnswer> answers,
                     AskAllComputeNodes(options, /*learns=*/true));
    for (const ComputeNodeAnswer& answer : answers) {
      if (!answer.status.ok()) continue;
      if (answer.status->node() == name) return answer.address;
      known += " " + answer.status->node();
    }
  }
  return absl::InvalidArgumentError(
      Text("no compute node called '", name, "': there are", known.empty() ? " none" : known));
}

}  // namespace sextant::cli
