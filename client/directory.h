// Directory: finds the node to talk to. A NodeBook that many sessions share, kept by asking nodes.
//
// Asks all nodes it knows at once (ComputeService.GetStatus) and goes on as soon as an open writer
// has answered whose epoch nobody's exceeds so far; a node that is silent delays nobody then.
// Thread-safe; internal to client/.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/node_book.h"
#include "client/retry.h"

namespace sextant::client {

class Directory {
 public:
  Directory(std::vector<std::string> endpoints, uint64_t seed);

  // A node for `preference`, by what is known. UNAVAILABLE, with what nodes say: none by `deadline`
  // (one round of questions is always waited for), or none yet and *is_cancelled.
  absl::StatusOr<std::string> Find(Preference preference, absl::Time deadline,
                                   const std::function<bool()>& is_cancelled);
  void Suspect(const std::string& address);
  void Hint(const std::string& node, const std::string& address);

 private:
  class Round;
  std::optional<std::string> Pick(Preference preference);  // with mutex_ held
  // Whether a node that was not heard of yet may be the better one.
  bool MustAskFirst(Preference preference) const;  // with mutex_ held
  // Asks everybody; returns when something may be picked, or all have answered.
  void Ask(Preference preference);
  std::string WhatTheySay() const;  // with mutex_ held

  std::mutex mutex_;
  NodeBook book_;
  Prng prng_;
  std::map<std::string, std::string> said_;  // by address, for messages
};

}  // namespace sextant::client
