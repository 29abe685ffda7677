// See zones.h.
#include "fault/cluster/zones.h"

#include <map>

#include "cli/client/status_client.h"
#include "common/base/text.h"

namespace sextant::fault {
namespace {

// The worst that the writer says of any segment of each node.
std::map<std::string, char> MarksOf(const v1::ComputeStatus& status) {
  std::map<std::string, char> marks;
  for (const v1::PgProgress& pg : status.pgs()) {
    for (const v1::MemberProgress& member : pg.members()) {
      char& mark = marks.emplace(member.node(), '+').first->second;
      if (member.state() == "down") {
        mark = 'x';
      } else if (member.state() != "streaming" && mark == '+') {
        mark = '~';
      }
    }
  }
  return marks;
}

}  // namespace

std::string ZonesLine(const cli::ClusterState& state) {
  std::vector<std::string> endpoints, names;
  for (const cli::NodeState& node : state.nodes) {
    if (!node.is_compute()) continue;
    endpoints.push_back(node.listen);
    names.push_back(node.name);
  }
  const auto answers = cli::AskComputeNodes(endpoints, absl::Milliseconds(500));
  std::map<std::string, char> marks;
  std::string roles;
  for (size_t i = 0; i < answers.size(); ++i) {
    roles += Text(" ", names[i], " ", answers[i].ok() ? answers[i]->phase() : "away");
    if (answers[i].ok() && answers[i]->phase() == "open") marks = MarksOf(*answers[i]);
  }
  std::string line, zone;
  for (const cli::NodeState& node : state.nodes) {
    if (node.is_compute()) continue;
    if (node.zone != zone) line += Text(line.empty() ? "" : " ", node.zone, " ");
    zone = node.zone;
    const auto mark = marks.find(node.name);
    line += mark == marks.end() ? '?' : mark->second;
  }
  return line + " " + roles;
}

}  // namespace sextant::fault
