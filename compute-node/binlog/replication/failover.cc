// See failover.h.
#include "compute-node/binlog/replication/failover.h"

#include <algorithm>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

absl::Status CheckOneLine(const std::vector<Candidate>& candidates, const Candidate& longest) {
  for (const Candidate& candidate : candidates) {
    if (longest.received.Contains(candidate.received)) continue;
    return absl::DataLossError(Text("the replicas ", longest.name, " and ", candidate.name,
                                    " went apart after transaction ",
                                    CommonThrough(longest.received, candidate.received),
                                    ": follow one of them by hand and seed the other anew"));
  }
  return absl::OkStatus();
}

bool MayBeAcknowledged(const FailoverQuestion& question, TxnSeq seq) {
  if (question.acks == 0) return false;
  size_t holders = question.replicas > question.reachable.size()
                       ? question.replicas - question.reachable.size()
                       : 0;
  for (const Candidate& candidate : question.reachable) {
    if (candidate.received.last() >= seq) ++holders;
  }
  return holders >= question.acks;
}

}  // namespace

absl::StatusOr<FailoverChoice> ChooseSource(const FailoverQuestion& question) {
  const auto& all = question.reachable;
  if (all.empty()) return absl::NotFoundError("no replica answers: there is none to promote");
  const auto longest = std::max_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.received.last() < b.received.last();
  });
  RETURN_IF_ERROR(CheckOneLine(all, *longest));
  const auto chosen = question.wanted.empty()
                          ? longest
                          : std::find_if(all.begin(), all.end(), [&](const Candidate& c) {
                              return c.name == question.wanted;
                            });
  if (chosen == all.end()) {
    return absl::NotFoundError(Text("no replica ", question.wanted, " answers"));
  }
  FailoverChoice choice{.name = chosen->name, .history = chosen->received};
  const TxnSeq end = chosen->received.last();
  choice.may_lose_acknowledged = MayBeAcknowledged(question, end.Next());
  for (const Candidate& candidate : all) {
    if (candidate.received.last() > end) choice.must_rewind.push_back(candidate.name);
  }
  if (!choice.may_lose_acknowledged || question.is_forced) return choice;
  const std::string remedy = choice.must_rewind.empty()
                                 ? std::string("bring a replica that does not answer back")
                                 : Text("promote ", longest->name, ", which holds more,");
  return absl::FailedPreconditionError(Text(chosen->name, " ends at transaction ", end,
                                            "; later ones may have been acknowledged to clients: ",
                                            remedy, " or accept the loss with --force"));
}

RewindPlan PlanRewind(const GtidSet& mine, const GtidSet& source) {
  return {.keep_through = CommonThrough(mine, source), .undo_through = mine.last()};
}

}  // namespace sextant::binlog
