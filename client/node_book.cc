// See node_book.h.
#include "client/node_book.h"

#include <algorithm>

namespace sextant::client {

NodeBook::NodeBook(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    if (nodes_.try_emplace(endpoint).second) addresses_.push_back(endpoint);
  }
}

void NodeBook::Learn(const std::string& node, const std::string& address) {
  if (address.empty() || nodes_.count(address) > 0) return;
  // Known by its name already, at an address that answers.
  for (const auto& [known, entry] : nodes_) {
    if (!node.empty() && entry.last.node == node && entry.last.answers) return;
  }
  nodes_.try_emplace(address);
  addresses_.push_back(address);
}

void NodeBook::Heard(const NodeReport& report) {
  const auto found = nodes_.find(report.address);
  if (found == nodes_.end()) return;
  Node& node = found->second;
  node.was_asked = true;
  if (!report.answers) {
    node.last.answers = false;
    return;
  }
  node.last = report;
  node.is_suspect = false;
  for (const NodeReport::Named& named : report.compute_nodes) {
    if (named.node != report.node) Learn(named.node, named.address);
  }
}

void NodeBook::Suspect(const std::string& address) {
  if (const auto node = nodes_.find(address); node != nodes_.end()) node->second.is_suspect = true;
}

void NodeBook::Hint(const std::string& node, const std::string& address) { Learn(node, address); }

bool NodeBook::has_unasked() const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const auto& entry) { return !entry.second.was_asked; });
}

bool NodeBook::IsUsable(const Node& node, const std::string& role) const {
  if (!node.last.answers || node.is_suspect || node.last.role != role) return false;
  return role != "writer" || node.last.phase == "open";
}

std::optional<std::string> NodeBook::Writer() const {
  std::optional<std::string> best;
  uint64_t best_epoch = 0;
  for (const std::string& address : addresses_) {
    const Node& node = nodes_.at(address);
    if (!IsUsable(node, "writer") || (best.has_value() && node.last.epoch <= best_epoch)) continue;
    best = address;
    best_epoch = node.last.epoch;
  }
  return best;
}

std::vector<std::string> NodeBook::Choices(Preference preference) const {
  if (preference == Preference::kOnly) return {addresses_.front()};
  const std::optional<std::string> writer = Writer();
  std::vector<std::string> choices;
  if (preference != Preference::kWriter) {
    for (const std::string& address : addresses_) {
      if (IsUsable(nodes_.at(address), "reader")) choices.push_back(address);
    }
  }
  const bool takes_writer = preference != Preference::kReader || choices.empty();
  if (takes_writer && writer.has_value()) choices.push_back(*writer);
  return choices;
}

}  // namespace sextant::client
