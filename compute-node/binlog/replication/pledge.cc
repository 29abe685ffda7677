// See pledge.h.
#include "compute-node/binlog/replication/pledge.h"

#include <algorithm>

#include "common/base/text.h"

namespace sextant::binlog {

absl::Status CheckPledge(const Pledges& held, uint64_t tenure, const Pledge& asked) {
  if (asked.candidate.empty()) return absl::InvalidArgumentError("a pledge to nobody");
  if (asked.tenure <= tenure) {
    return absl::FailedPreconditionError(
        Text("tenure ", asked.tenure, " is over: this node has heard of ", tenure));
  }
  if (asked.tenure > held.highest) return absl::OkStatus();
  // A number whose promotion was given up is not used again: its messages may still be under way.
  const auto same = held.binding.find(asked.tenure);
  if (same != held.binding.end() && same->second == asked.candidate) return absl::OkStatus();
  return absl::FailedPreconditionError(Text("this node takes part in a promotion to tenure ",
                                            held.highest, ", and was asked for ", asked.tenure,
                                            ": ask again"));
}

void Give(const Pledge& pledge, Pledges* held) {
  held->highest = std::max(held->highest, pledge.tenure);
  held->binding[pledge.tenure] = pledge.candidate;
}

bool MayFollow(const Pledges& held, uint64_t tenure, std::string_view source) {
  if (held.binding.empty()) return true;
  const auto& [pledged, candidate] = *held.binding.rbegin();
  return tenure > pledged || (tenure == pledged && source == candidate);
}

std::optional<Pledge> Awaited(const Pledges& held, uint64_t tenure) {
  if (held.binding.empty() || held.binding.rbegin()->first <= tenure) return std::nullopt;
  return Pledge{held.binding.rbegin()->first, held.binding.rbegin()->second};
}

void Followed(uint64_t tenure, Pledges* held) {
  held->binding.erase(held->binding.begin(), held->binding.lower_bound(tenure));
}

bool IsGivenUp(const Pledge& pledge, const CandidateState& candidate) {
  return candidate.claim != pledge.tenure && candidate.tenure < pledge.tenure;
}

}  // namespace sextant::binlog
