// See failover.h.
#include "compute-node/binlog/replication/failover.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

// Holds most of those that hold the beginning of the highest tenure.
const Candidate* Longest(const std::vector<Candidate>& candidates) {
  return &*std::max_element(candidates.begin(), candidates.end(),
                            [](const Candidate& a, const Candidate& b) {
                              return std::make_pair(a.held, a.received.last()) <
                                     std::make_pair(b.held, b.received.last());
                            });
}

absl::Status CheckOneLine(const std::vector<Candidate>& candidates, const Candidate& longest) {
  for (const Candidate& candidate : candidates) {
    if (candidate.held < longest.held) continue;
    if (longest.received.Contains(candidate.received)) continue;
    return absl::DataLossError(Text("the replicas ", longest.name, " and ", candidate.name,
                                    " went apart after transaction ",
                                    CommonThrough(longest.received, candidate.received),
                                    ": follow one of them by hand and seed the other anew"));
  }
  return absl::OkStatus();
}

// Replicas that hold this transaction, and those that nobody can tell it of.
size_t PossibleHolders(const FailoverQuestion& question, std::optional<Gtid> gtid) {
  size_t holders = question.replicas > question.reachable.size()
                       ? question.replicas - question.reachable.size()
                       : 0;
  for (const Candidate& candidate : question.reachable) {
    const bool holds = gtid.has_value() && candidate.received.Contains(*gtid);
    if (holds || !candidate.is_whole) ++holders;
  }
  return holders;
}

// Whether a transaction that `chosen` lacks may have been acknowledged.
bool MayLose(const FailoverQuestion& question, const Candidate& chosen) {
  if (question.acks == 0) return false;
  if (PossibleHolders(question, std::nullopt) >= question.acks) return true;
  for (const Candidate& other : question.reachable) {
    if (other.tenure < chosen.held) continue;
    // Whoever holds a later one that is missing holds the first one, too.
    const TxnSeq missing = CommonThrough(chosen.received, other.received).Next();
    const std::optional<SourceId> source = other.received.SourceOf(missing);
    if (!source.has_value()) continue;
    if (PossibleHolders(question, Gtid{*source, missing}) >= question.acks) return true;
  }
  return false;
}

// What to do about a choice that may lose something.
std::string Remedy(const FailoverQuestion& question, const FailoverChoice& choice,
                   const Candidate& longest) {
  if (!choice.must_rewind.empty() && longest.name != choice.name) {
    return Text("promote ", longest.name, ", which holds more,");
  }
  for (const Candidate& candidate : question.reachable) {
    if (candidate.is_whole) continue;
    return Text("bring the source back until ", candidate.name,
                ", whose folder is new, has caught up with it,");
  }
  return "bring a replica that does not answer back";
}

}  // namespace

absl::StatusOr<FailoverChoice> ChooseSource(const FailoverQuestion& question) {
  const auto& all = question.reachable;
  if (all.empty()) return absl::NotFoundError("no replica answers: there is none to promote");
  const Candidate& longest = *Longest(all);
  RETURN_IF_ERROR(CheckOneLine(all, longest));
  const Candidate* chosen = question.wanted.empty() ? &longest : nullptr;
  for (const Candidate& candidate : all) {
    if (candidate.name == question.wanted) chosen = &candidate;
  }
  if (chosen == nullptr) {
    return absl::NotFoundError(Text("no replica ", question.wanted, " answers"));
  }
  FailoverChoice choice{.name = chosen->name, .history = chosen->received};
  const TxnSeq end = CommonThrough(longest.received, chosen->received);
  choice.may_lose_acknowledged = MayLose(question, *chosen);
  for (const Candidate& candidate : all) {
    if (!chosen->received.Contains(candidate.received))
      choice.must_rewind.push_back(candidate.name);
  }
  if (question.is_forced) return choice;
  if (!longest.received.Contains(chosen->received)) {
    return absl::FailedPreconditionError(Text(chosen->name, " holds transactions after ", end,
                                              " that were undone when ", longest.name,
                                              " got a newer source: promote that one"));
  }
  if (!choice.may_lose_acknowledged) return choice;
  return absl::FailedPreconditionError(Text(
      chosen->name, " ends at transaction ", end,
      "; later ones may have been acknowledged to clients: ", Remedy(question, choice, longest),
      " or accept the loss with --force"));
}

RewindPlan PlanRewind(const GtidSet& mine, const GtidSet& source) {
  return {.keep_through = CommonThrough(mine, source), .undo_through = mine.last()};
}

}  // namespace sextant::binlog
