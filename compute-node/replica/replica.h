// Replica is a state machine: the reader's side of the redo stream. Core.
//
// Redo comes when it is appended, VDL when it has moved. A mini-transaction is handed out for
// application only once VDL has passed its CPL, whole, in LSN order, with the chain of volume links
// checked; then that VDL is published, and views may open at it. So nothing above the published VDL
// is ever visible, and no view shows part of a mini-transaction (docs/PROTOCOL.md, "Readers";
// SIGMOD'18, section 3.2).
//
// Invariants: the published VDL never falls, whatever writers come and go; redo that was sent by
// one stream is never mixed with another's; a writer of an older epoch is not followed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/protocol/redo_messages.h"
#include "compute-node/replica/commit_times.h"

namespace sextant::compute {

struct ReplicaCounters {  // since start
  uint64_t mtrs = 0, records = 0;
  uint64_t streams = 0, jumps = 0;
};

class Replica {
 public:
  struct Options {
    // Of redo that waits for its VDL; beyond, the stream is given up and begun anew with a jump.
    uint64_t max_pending_bytes = 256ull << 20;
  };
  Replica(std::string node, Options options) : node_(std::move(node)), options_(options) {}

  // Opens a stream: what lies beyond the published VDL is forgotten.
  protocol::FollowHello Begin(Lsn lowest_read_point);

  // What a message leads to, in this order.
  struct Step {
    // Pages changed in (published_before, jumped_to] without a word: what is cached is known
    // through `published_before` only.
    bool is_jump = false;
    Lsn published_before, jumped_to;
    std::vector<std::shared_ptr<const protocol::RedoMtr>> apply;
    // Then this VDL is published: the same as before, or higher.
    Lsn publish;
    // When the commits became durable; of a jump, one step.
    std::vector<protocol::DurableStep> steps;
    bool has_new_shape = false;
  };
  // Any error ends the stream: Begin another. FAILED_PRECONDITION: the writer has been succeeded.
  // DATA_LOSS: damaged, or a gap. RESOURCE_EXHAUSTED: too much waits for its VDL.
  // INVALID_ARGUMENT: not what a writer says.
  absl::StatusOr<Step> Take(protocol::FollowMessage message);

  bool is_open() const { return !shape_.memberships.empty(); }  // a first stream has begun
  // When open:
  Lsn published() const { return published_.Get(); }
  // No page is kept below it, as the writer said last.
  Lsn floor() const { return floor_; }
  VolumeEpoch epoch() const { return epoch_; }
  const protocol::VolumeShape& shape() const { return shape_; }
  const std::vector<Lsn>& tails() const { return tails_; }  // by PG, at the published VDL
  const CommitTimes& times() const { return times_; }
  // The commits that it knows of, ascending: durable ones with their times, then those that may
  // become durable yet, with no time (INT64_MAX).
  std::vector<protocol::DurableStep> History() const;
  uint64_t pending_bytes() const { return pending_bytes_; }
  const ReplicaCounters& counters() const { return counters_; }

 private:
  using Mtrs = std::vector<std::shared_ptr<const protocol::RedoMtr>>;

  // Nothing is taken of a message that is refused.
  absl::StatusOr<Mtrs> Check(const protocol::FollowMessage& message) const;
  absl::Status CheckStart(const protocol::FollowStart& start) const;
  absl::Status CheckShape(const protocol::VolumeShape& shape) const;
  absl::Status CheckDurable(const protocol::FollowDurable& durable, bool starts, Lsn published,
                            const Mtrs& mtrs) const;
  void TakeStart(const protocol::FollowStart& start, Step* step);
  void TakeDurable(const protocol::FollowDurable& durable, Step* step);

  const std::string node_;
  const Options options_;
  bool wants_jump_ = false;  // the last stream did not fit
  bool is_started_ = false;  // this stream has said where it begins
  VolumeEpoch epoch_;
  protocol::VolumeShape shape_;
  std::vector<Lsn> tails_;
  Watermark published_;
  Lsn floor_;
  Lsn received_;  // redo through here came on this stream
  std::deque<std::shared_ptr<const protocol::RedoMtr>> pending_;  // in (published, received]
  uint64_t pending_bytes_ = 0;
  CommitTimes times_;
  ReplicaCounters counters_;
};

}  // namespace sextant::compute
