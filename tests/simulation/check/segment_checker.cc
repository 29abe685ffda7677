// See segment_checker.h.
#include "tests/simulation/check/segment_checker.h"

#include <algorithm>
#include <utility>

#include "storage-node/segment/epoch_fence.h"

namespace sextant::simulation {

bool SegmentChecker::IsAnnulled(const DurableIndex::Copy& copy, Lsn lsn, VolumeEpoch epoch) const {
  return copy.state.has_value() && storage::IsAnnulled(copy.state->truncations, lsn, epoch);
}

VolumeEpoch SegmentChecker::LastTruncation(const DurableIndex::Copy& copy) {
  const bool is_none = !copy.state.has_value() || copy.state->truncations.empty();
  return is_none ? VolumeEpoch() : copy.state->truncations.back().epoch;
}

void SegmentChecker::Durable(NodeNo node, const storage::StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) At(node, segment.pg) = {};
  for (const storage::LogAppend& append : write.log) {
    const auto header = log::DecodeBatchHeader(*append.batch);
    Claims& claims = At(node, append.segment.pg);
    if (header.ok() && header->epoch < claims.answered) {
      sim_.Violate("I5", "node ", node, " pg ", append.segment.pg, " stored a batch of epoch ",
                   header->epoch, " after it had answered for ", claims.answered);
    }
  }
  for (const storage::SegmentState& state : write.states) {
    // What a new truncation annuls must be verified anew.
    Claims& claims = At(node, state.segment.pg);
    if (claims.incarnation != state.incarnation) claims = {.incarnation = state.incarnation};
    const DurableIndex::Copy& copy = facts_.index.At(node, state.segment.pg);
    claims.chain.erase(claims.chain.begin(),
                       std::ranges::upper_bound(claims.chain, state.log_start));
    const auto cut = std::ranges::find_if(claims.chain, [&](Lsn lsn) {
      const auto held = copy.records.find(lsn);
      return held == copy.records.end() || IsAnnulled(copy, lsn, held->second.epoch);
    });
    claims.chain.erase(cut, claims.chain.end());
  }
}

void SegmentChecker::NodeStarted(NodeNo node,
                                 const std::vector<protocol::SegmentStatus>& segments) {
  for (const protocol::SegmentStatus& status : segments) {
    Claims& claims = At(node, status.segment.pg);
    claims.chain.clear();
    // Damage is found where the log is read back, and only there.
    const uint64_t injuries = facts_.index.At(node, status.segment.pg).injuries;
    if (std::exchange(claims.injuries, injuries) < injuries) claims.scl = Lsn();
    Claim(node, status.segment.pg, status.scl);
  }
}

void SegmentChecker::AckLeft(NodeNo node, const protocol::AppendAck& ack) {
  // Of one that was dropped while its acknowledgement waited to leave: nobody counts it any more.
  if (facts_.index.At(node, ack.segment.pg).incarnation == IncarnationId()) return;
  if (ack.status.ok()) Claim(node, ack.segment.pg, ack.scl);
}

void SegmentChecker::RaiseAnswered(NodeNo node, const protocol::RaiseEpochRequest& request,
                                   const absl::StatusOr<protocol::SegmentStatus>& reply) {
  const PgId pg = request.segment.pg;
  if (absl::IsInvalidArgument(reply.status()) || absl::IsAborted(reply.status())) {
    // Only where the protocol is broken: a truncation of what was announced, or a changed one.
    sim_.Violate("I4", "node ", node, ": ", View(reply.status().message()));
  }
  if (!reply.ok()) return;
  const DurableIndex::Copy& copy = facts_.index.At(node, pg);
  if (copy.incarnation == IncarnationId()) return;  // dropped meanwhile
  // A rival that has won the epoch meanwhile may have overtaken the answer: with the same sync.
  const bool is_rivals = copy.state.has_value() && copy.state->epoch == request.epoch &&
                         copy.state->writer != request.writer &&
                         LastTruncation(copy) != request.epoch;
  if (!copy.state.has_value() || copy.state->epoch < request.epoch || is_rivals) {
    sim_.Violate("I5", "node ", node, " pg ", pg, " answered for epoch ", request.epoch,
                 " before that was durable");
  }
  Claims& claims = At(node, pg);
  claims.answered = std::max(claims.answered, request.epoch);
  // As of the moment at which the claim was durable: an acknowledgement that left since may say
  // more, and a truncation that became durable with the same sync takes away from it what the reply
  // still shows. Whoever reads the reply counts it only with the truncations that it names.
  const bool is_of_now = copy.state.has_value() && reply->truncations == copy.state->truncations;
  if (is_of_now && reply->scl > Lsn()) Verify(node, pg, reply->scl);
}

void SegmentChecker::LogServed(NodeNo node, const protocol::ReadLogRequest& request,
                               const protocol::ReadLogReply& reply,
                               const std::vector<volume::Truncation>& known_truncations) {
  const PgId pg = request.segment.pg;
  for (const log::RedoRecord& record : reply.records) {
    const Lsn lsn = record.header.lsn;
    const History::Record* known = facts_.history.Find(lsn);
    if (known == nullptr || known->epoch != record.header.epoch ||
        known->payload != record.payload) {
      sim_.Violate("I15", "node ", node, " served LSN ", lsn, ", which is not what was appended");
    }
    if (storage::IsAnnulled(known_truncations, lsn, record.header.epoch)) {
      sim_.Violate("I4", "node ", node, " pg ", pg, " served LSN ", lsn, " of epoch ",
                   record.header.epoch, ", which it knew to be annulled");
    }
  }
}

void SegmentChecker::Claim(NodeNo node, PgId pg, Lsn scl) {
  Claims& claims = At(node, pg);
  if (scl < claims.scl) CheckFall(node, pg, scl);
  const DurableIndex::Copy& copy = facts_.index.At(node, pg);
  claims.scl = scl;
  claims.truncated = LastTruncation(copy);
  if (scl > Lsn()) Verify(node, pg, scl);
}

void SegmentChecker::CheckFall(NodeNo node, PgId pg, Lsn scl) {
  const Claims& claims = At(node, pg);
  const DurableIndex::Copy& copy = facts_.index.At(node, pg);
  // It may come within an epoch: recovery claims first and truncates later, or learns of an earlier
  // recovery's truncation only from another member's answer (seed 3356).
  if (LastTruncation(copy) > claims.truncated) return;
  // Scrubbing and reads find damage too: then it fell over a record that was injured.
  const auto injured = copy.hurt.upper_bound(scl);
  if (injured != copy.hurt.end() && *injured <= claims.scl) return;
  sim_.Violate("I3", "node ", node, " pg ", pg, ": SCL fell from ", claims.scl, " to ", scl,
               " with no truncation and no damage");
}

void SegmentChecker::Verify(NodeNo node, PgId pg, Lsn scl) {
  std::vector<Lsn>& chain = At(node, pg).chain;
  const DurableIndex::Copy& copy = facts_.index.At(node, pg);
  std::vector<Lsn> found;
  for (Lsn at = scl; at > copy.log_start();) {
    const auto verified = std::lower_bound(chain.begin(), chain.end(), at);
    if (verified != chain.end() && *verified == at) {
      chain.erase(verified + 1, chain.end());
      chain.insert(chain.end(), found.rbegin(), found.rend());
      return;
    }
    const auto held = copy.records.find(at);
    if (held == copy.records.end()) {
      return sim_.Violate("I3", "node ", node, " pg ", pg, " claims SCL ", scl, ", LSN ", at,
                          " is not on its disk");
    }
    if (IsAnnulled(copy, at, held->second.epoch)) {
      return sim_.Violate("I4", "node ", node, " pg ", pg, " claims SCL ", scl, " over LSN ", at,
                          " of epoch ", held->second.epoch, ", which it knows to be annulled");
    }
    found.push_back(at);
    at = held->second.prev_pg;
  }
  chain.assign(found.rbegin(), found.rend());
}

}  // namespace sextant::simulation
