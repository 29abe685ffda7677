// NodeBook: what a client knows of a cluster's compute nodes, and which of them to ask. Core.
//
// Starts from the endpoints that the client was given and learns the others from what nodes say. An
// endpoint that was given is kept whatever nodes call themselves: behind a port forward their own
// addresses may lead nowhere. A hint, never a truth: a node that does not write says so itself.
//
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/options.h"

namespace sextant::client {

// What one node answered, or that it did not.
struct NodeReport {
  std::string address;  // where it was asked
  bool answers = false;
  std::string node, role, phase;
  uint64_t epoch = 0;
  struct Named {
    std::string node, address;
  };
  std::vector<Named> compute_nodes;  // of the cluster, by this node
};

class NodeBook {
 public:
  explicit NodeBook(const std::vector<std::string>& endpoints);

  void Heard(const NodeReport& report);
  // It refused, broke off or did not answer: not chosen until heard of again.
  void Suspect(const std::string& address);
  // The node that says who the writer is may know an address that the book lacks.
  void Hint(const std::string& node, const std::string& address);

  // Where to ask: what was given first.
  std::vector<std::string> addresses() const { return addresses_; }
  // The open writer of the highest epoch.
  std::optional<std::string> Writer() const;
  // Whether there are addresses that nothing has been heard of, not even silence.
  bool has_unasked() const;
  // The nodes that suit, by what they last said; not empty if Writer() is known.
  std::vector<std::string> Choices(Preference preference) const;

 private:
  struct Node {
    NodeReport last;
    bool is_suspect = false;
    bool was_asked = false;
  };
  void Learn(const std::string& node, const std::string& address);
  bool IsUsable(const Node& node, const std::string& role) const;

  std::vector<std::string> addresses_;
  std::map<std::string, Node> nodes_;  // by address
};

}  // namespace sextant::client
