// Rebuild is a state machine: one segment gets the pages of its peers, since their log no longer
// reaches down to it. Core.
//
// docs/PROTOCOL.md, "Rebuild". Gossip closes a gap from the peers' logs; where they have collected
// what is missing (ReadLog: OUT_OF_RANGE), their pages hold its effect. The machine asks one peer
// at a time for all pages in order of number; each reply gives them as of a read point of its own,
// the VDL that the peer was told. What it gives are true versions at or below a durable VDL, so
// they may be stored as they come and do no harm if the rebuild never ends. When the last one is
// there,
//
//   - the segment holds the effect of everything through S, the lowest `pg_lsn` of all replies:
//     a page that was copied earlier than S was reached has no record in between, or that record
//     lies above S, where the log goes on;
//   - but no version as of a read point below R, the highest of all replies, is promised.
//
// So its log may start at S with R as read floor (Segment::MoveLogStart), once the pages are
// flushed and each was read back (read_back.h): the peers' log that they stand in for is gone, a
// write that the disk lost would be found by nobody any more. If one is not there, all are copied
// anew. Gossip goes on from S. Should the peers' logs have left S behind meanwhile, another pass
// copies only what changed above S: it is shorter, and so the passes converge.
//
// What was written is kept in mind until then: 16 bytes a page.
//
// A segment that is dropped and made anew meanwhile (another incarnation) has none of the pages
// copied so far: the pass ends, and the next one begins with the first page.
//
// Invariants: S lies above the SCL that the pass began with; every page given to the shell is of
// the segment's group, as large as the volume's are, and not newer than the reply says.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/prng.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/read_back.h"

namespace sextant::storage {

struct RebuildOptions {
  // After all peers were asked in vain: doubles from the first to the last; jittered down to half.
  absl::Duration first_backoff = absl::Milliseconds(200);
  absl::Duration max_backoff = absl::Seconds(5);
  size_t pages_read_back_at_once = 64;
};

class Rebuild {
 public:
  struct Ask {
    quorum::Slot peer = 0;
    protocol::CopyPagesRequest request;
  };
  // All pages were stored: flush them, if `is_first`, and see that each of these is there
  // (ReadBackPage).
  struct ReadBack {
    bool is_first = true;
    std::vector<PageVersion> pages;
  };
  // All pages are there: move the start of the segment's log.
  struct Finish {
    IncarnationId incarnation;  // of which segment: one made anew since lacks the pages
    Lsn log_start;
    Lsn read_floor;
  };
  using Duty = std::variant<std::monostate, Ask, ReadBack, Finish>;

  Rebuild(RebuildOptions options, Prng prng) : options_(options), prng_(prng) {}

  // A peer said that log above the segment's SCL is no longer kept. No-op while it runs.
  void Start(const protocol::SegmentStatus& status, Instant now);
  bool is_running() const { return state_ != State::kIdle; }

  // What to do now, if anything, given what the segment says of itself. `peers` as of Gossip::Next.
  // One duty at a time: the next one comes after Copied, WasReadBack or Finished.
  Duty Next(const protocol::SegmentStatus& status, const std::vector<quorum::Slot>& peers,
            Instant now);
  // The answer to an Ask. OK: its pages must be stored (not synced) before Next is called again;
  // otherwise nothing of it may be used.
  absl::Status Copied(const absl::StatusOr<protocol::CopyPagesReply>& reply, Instant now);
  // What became of a ReadBack: OK, all of its pages are there; otherwise the pass begins anew.
  void WasReadBack(const absl::Status& status, Instant now);
  // What became of a Finish.
  void Finished(const absl::Status& status, Instant now);

  // `peer` names nobody here: the caller knows the names.
  protocol::RebuildProgress progress() const { return progress_; }
  quorum::Slot peer() const { return peer_; }

 private:
  enum class State { kIdle, kCopying, kReadingBack, kFinishing };

  bool IsOver(const protocol::SegmentStatus& status) const;
  void BeginPass();
  Duty NextReadBack();
  absl::Status Check(const protocol::CopyPagesReply& reply) const;
  void Take(const protocol::CopyPagesReply& reply);
  void TryAnother(Instant now);
  absl::Duration TakeBackoff();

  RebuildOptions options_;
  Prng prng_;
  State state_ = State::kIdle;
  bool is_busy_ = false;  // a duty is being carried out
  Instant not_before_;

  // Of the pass.
  protocol::SegmentStatus begun_;  // what the segment said of itself
  protocol::CopyPagesRequest request_;
  std::optional<Lsn> log_start_;  // S; nothing before the first reply
  Lsn read_floor_;                // R
  std::vector<PageVersion> written_;
  size_t read_back_ = 0;     // so many of them are there
  size_t reading_back_ = 0;  // and so many of the next are looked at
  protocol::RebuildProgress progress_;

  quorum::Slot peer_ = 0;
  size_t turn_ = 0;  // whose turn it is, among the peers
  size_t peer_count_ = 0;
  size_t in_vain_ = 0;
  absl::Duration backoff_;
};

}  // namespace sextant::storage
