// Pledge: what a node promises to a replica that asks to become the source. Core.
//
// While a new source is chosen, the old one may be alive and its replicas may acknowledge to it:
// what is acknowledged after they were counted could be lost. So the candidate asks every node
// first. A node that pledges makes it durable, follows no source of a lower tenure any more
// (ReplicaMachine::Disconnected: it acknowledges nothing), and only then says what it holds. What
// was counted cannot grow any more, however long the old source lives.
//
//   candidate            draws a tenure above all that it has heard of, pledges to itself
//   all who answer       CheckPledge, make it durable, end their stream, tell what they hold
//   candidate            ChooseSource over those answers (failover.h); leads, or gives it up
//   who has pledged      follows the candidate, a higher tenure, or, once IsGivenUp, as before
//
// A pledge names its candidate: where two drew the same number, each node follows one of them, and
// no source has the acknowledgements of those that pledged to the other one. A later promotion that
// is given up does not undo an earlier one, which may have come about meanwhile: each pledge binds
// until its own candidate is known to have given up, or a higher tenure is followed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sextant::binlog {

struct Pledge {
  uint64_t tenure = 0;
  std::string candidate;  // a node's name
  bool operator==(const Pledge&) const = default;
};

// Those that a node has given; durable.
struct Pledges {
  uint64_t highest = 0;                     // tenure ever pledged; never falls back
  std::map<uint64_t, std::string> binding;  // candidates, by tenure
  bool operator==(const Pledges&) const = default;
};

// Whether a node that holds `held`, and has followed or begun `tenure`, may give `asked`.
// FAILED_PRECONDITION: it has pledged that number or a higher one, or that tenure is over.
absl::Status CheckPledge(const Pledges& held, uint64_t tenure, const Pledge& asked);
void Give(const Pledge& pledge, Pledges* held);

// Whether it may follow, and acknowledge to, the source of this name and tenure.
bool MayFollow(const Pledges& held, uint64_t tenure, std::string_view source);
// The promotion that a node waits for, which has followed `tenure`: the last of those that bind.
std::optional<Pledge> Awaited(const Pledges& held, uint64_t tenure);
// It follows a source of this tenure, durably: what was pledged below binds no more than that does.
void Followed(uint64_t tenure, Pledges* held);

// What a candidate says of itself, asked after the pledge was given.
struct CandidateState {
  uint64_t claim = 0;   // the tenure that it is about to begin; 0: none
  uint64_t tenure = 0;  // that it has begun or followed, durable
};
// Whether it does not lead that tenure and never will: then the pledge binds no more. A candidate
// forgets its claim when it ends, and begins a tenure durably or not at all.
bool IsGivenUp(const Pledge& pledge, const CandidateState& candidate);

}  // namespace sextant::binlog
