// Gossip is a state machine: when one segment asks which peer for the log records it lacks. Core.
//
// docs/PROTOCOL.md, "Gossip". A writer resends only what it still retains, and a new writer retains
// nothing; what a member missed before that it gets from its peers. They are asked for records that
// the segment was told are durable, and it knows every truncation that could have annulled one of
// those (a writer tells VDL only to segments that know its truncations): a peer that does not know
// them yet can offer annulled records, and the segment drops them. Above VDL it asks only for what
// fills the gap below records that it holds already, and only once the recovery of its epoch is
// over, so that what recovery looks at does not move.
//
// One request at a time. The next peer is asked when one fails or has nothing to add; when all have
// been asked in vain the next round waits, longer each time. It decides who is asked for what; the
// answer goes through Segment::Append like a batch of the writer's.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/prng.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"

namespace sextant::storage {

struct GossipOptions {
  // A gap must have stood so long, its lower edge unmoved: the writer may be about to fill it.
  absl::Duration grace = absl::Milliseconds(200);
  // Between two rounds in vain: doubles from the first to the last; jittered down to half.
  absl::Duration first_backoff = absl::Milliseconds(200);
  absl::Duration max_backoff = absl::Seconds(5);
};

class Gossip {
 public:
  struct Ask {
    quorum::Slot peer = 0;
    protocol::ReadLogRequest request;
  };

  Gossip(GossipOptions options, Prng prng) : options_(options), prng_(prng) {}

  // Whether the segment lacks records that peers may be asked for.
  static bool IsLacking(const protocol::SegmentStatus& status);

  // What to ask now, if anything, given what the segment says of itself. `peers`: slots of those
  // that can be asked, each once, the segment's own not among them.
  std::optional<Ask> Next(const protocol::SegmentStatus& status,
                          const std::vector<quorum::Slot>& peers, Instant now);
  // The request is over, whatever came of it; the segment's SCL is now `scl`.
  void Finished(Lsn scl, Instant now);

 private:
  void Restart(const protocol::SegmentStatus& status, Instant now);
  absl::Duration TakeBackoff();

  GossipOptions options_;
  Prng prng_;
  bool is_lacking_ = false;
  bool is_asking_ = false;
  Lsn scl_;  // as last seen
  VolumeEpoch epoch_;
  Instant ask_at_;
  size_t turn_ = 0;  // whose turn it is, among the peers
  size_t peer_count_ = 0;
  size_t in_vain_ = 0;  // asked since the last progress, in this round
  absl::Duration backoff_;
};

// A peer's answer as batches to append, in order, in the name of the segment as `status` showed it
// when it asked. DATA_LOSS: it holds what was not asked for, or is out of order.
absl::StatusOr<std::vector<log::EncodedBatch>> GossipBatches(
    const protocol::SegmentStatus& status, const protocol::ReadLogRequest& request,
    const protocol::ReadLogReply& reply);

}  // namespace sextant::storage
