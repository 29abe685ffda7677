// See gossip.h.
#include "storage-node/segment/gossip.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::storage {
namespace {

bool IsBelowVdl(const protocol::SegmentStatus& status) { return status.scl < status.pg_lsn_at_vdl; }

// Recovery ends with a truncation of its own epoch. Until then nothing above VDL may move.
bool IsRecovered(const protocol::SegmentStatus& status) {
  return !status.truncations.empty() && status.truncations.back().epoch == status.epoch;
}

}  // namespace

bool Gossip::IsLacking(const protocol::SegmentStatus& status) {
  return IsBelowVdl(status) || (status.records_ahead > 0 && IsRecovered(status));
}

void Gossip::Restart(const protocol::SegmentStatus& status, Instant now) {
  is_lacking_ = true;
  scl_ = status.scl;
  epoch_ = status.epoch;
  in_vain_ = 0;
  backoff_ = absl::ZeroDuration();
  ask_at_ = now + options_.grace;
}

std::optional<Gossip::Ask> Gossip::Next(const protocol::SegmentStatus& status,
                                        const std::vector<quorum::Slot>& peers, Instant now) {
  if (is_asking_) return std::nullopt;
  if (!IsLacking(status)) {
    is_lacking_ = false;
    return std::nullopt;
  }
  // Moved by somebody else: the writer is at it. A new epoch: peers that refused may answer now.
  if (!is_lacking_ || status.scl != scl_ || status.epoch != epoch_) Restart(status, now);
  if (peers.size() != peer_count_) {
    peer_count_ = peers.size();
    turn_ = peers.empty() ? 0 : prng_.Below(peers.size());
  }
  if (peers.empty() || now < ask_at_) return std::nullopt;
  is_asking_ = true;
  const Lsn through = IsBelowVdl(status) ? status.pg_lsn_at_vdl : Lsn(UINT64_MAX);
  return Ask{.peer = peers[turn_],
             .request = {.segment = status.segment,
                         .epoch = status.epoch,
                         .after = status.scl,
                         .through = through}};
}

void Gossip::Finished(Lsn scl, Instant now) {
  SEXTANT_CHECK(is_asking_);
  is_asking_ = false;
  ask_at_ = now;
  if (scl > scl_) {  // there may be more where that came from
    scl_ = scl;
    in_vain_ = 0;
    backoff_ = absl::ZeroDuration();
    return;
  }
  turn_ = (turn_ + 1) % peer_count_;
  if (++in_vain_ < peer_count_) return;
  in_vain_ = 0;
  ask_at_ = now + TakeBackoff();
}

absl::Duration Gossip::TakeBackoff() {
  backoff_ = std::clamp(2 * backoff_, options_.first_backoff, options_.max_backoff);
  return backoff_ * (0.5 + static_cast<double>(prng_.Below(513)) / 1024);
}

absl::StatusOr<std::vector<log::EncodedBatch>> GossipBatches(
    const protocol::SegmentStatus& status, const protocol::ReadLogRequest& request,
    const protocol::ReadLogReply& reply) {
  const log::BatchHeader header{.epoch = request.epoch,
                                .membership = status.membership.epoch,
                                .vdl = status.known_vdl,
                                .pg_lsn_at_vdl = status.pg_lsn_at_vdl,
                                .pgmrpl = status.pgmrpl};
  log::BatchBuilder builder(request.segment.volume, request.segment.pg);
  std::vector<log::EncodedBatch> batches;
  Lsn last = request.after;
  for (const log::RedoRecord& record : reply.records) {
    if (record.header.lsn <= last || record.header.lsn > request.through ||
        record.payload.size() > log::kMaxPayloadBytes) {
      return absl::DataLossError(Text("lsn ", record.header.lsn, " after ", last,
                                      " in an answer about (", request.after, ", ", request.through,
                                      "]"));
    }
    last = record.header.lsn;
    if (!builder.HasRoomFor(record.payload.size())) batches.push_back(builder.Seal(header));
    builder.Add(record.header, record.payload);
  }
  if (!builder.empty()) batches.push_back(builder.Seal(header));
  return batches;
}

}  // namespace sextant::storage
