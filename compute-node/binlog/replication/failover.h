// Who becomes the source after the old one is gone, and what the old one must undo. Core.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compute-node/binlog/log/gtid.h"

namespace sextant::binlog {

// A replica that answered.
struct Candidate {
  std::string name;
  GtidSet received;     // in its synced relay log
  uint64_t tenure = 0;  // the highest that it has followed: it holds a part of its source's history
  uint64_t held = 0;    // the highest whose beginning is in `received`; at most `tenure`
  // False: its folder is new, and has not caught up with a source yet. What it lacks an earlier
  // copy of the same node may have acknowledged: it counts as one that does not answer.
  bool is_whole = true;
};

struct FailoverQuestion {
  std::vector<Candidate> reachable;
  size_t replicas = 0;  // that the old source had, those that do not answer included
  size_t acks = 0;      // that it waited for before it answered; 0: asynchronous
  std::string wanted;   // a candidate's name; empty: the best one
  bool is_forced = false;
};

struct FailoverChoice {
  std::string name;
  GtidSet history;
  // Names of reachable replicas that hold more, and must rewind it; only where forced or
  // asynchronous.
  std::vector<std::string> must_rewind;
  // Whether an acknowledged transaction may be missing; only where forced.
  bool may_lose_acknowledged = false;
};

// Chooses the replica that holds most, or judges the wanted one.
//
// A tenure begins with all that had been answered before. So what another one holds and the chosen
// one lacks counts for nothing if that other one follows nobody as late as the tenure whose
// beginning the chosen one holds: it was undone. Otherwise it may have been acknowledged if as many
// replicas as `acks` may hold it: those that answered and do, and all that did not, or
// that are not whole.
//
// FAILED_PRECONDITION: one that the choice lacks may have been acknowledged, or it is of an older
// tenure and holds what the others do not (is_forced overrides both). DATA_LOSS: histories of one
// tenure went apart. NOT_FOUND: no such replica, or none at all.
absl::StatusOr<FailoverChoice> ChooseSource(const FailoverQuestion& question);

// What a node must undo before it can follow a source.
struct RewindPlan {
  TxnSeq keep_through;  // shared with the source
  TxnSeq undo_through;  // the node's last; equal: nothing to undo
  bool is_needed() const { return undo_through > keep_through; }
};
RewindPlan PlanRewind(const GtidSet& mine, const GtidSet& source);

}  // namespace sextant::binlog
