// Followers is a state machine: the writer's side of the redo stream, one cursor per reader. Core.
//
// No reader has a queue. A follower is a place in the writer's ring of redo, with one message in
// flight; what it is sent next is decided when it can take more. One whose place fell out of the
// ring jumps: it goes on at VDL and is told so. So a slow reader costs the writer nothing.
//
// A reader's lowest read point holds PGMRPL down until nothing was heard of the reader for
// `hold`: also over a lost connection, so that long reads survive one. That time only frees what is
// held. Safety is the segments': they refuse a read below PGMRPL. docs/PROTOCOL.md, "Readers".
//
// Invariants: no VDL is announced above what was sent on the stream; what is announced never falls.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/instant.h"
#include "common/base/strong_int.h"
#include "common/protocol/redo_messages.h"

namespace sextant::compute {

// One stream of one reader; never used twice.
using FollowerId = StrongInt<struct FollowerIdTag>;

// How far the writer is.
struct RedoFeedState {
  VolumeId volume;
  VolumeEpoch epoch;
  Lsn begin;           // redo above it is in the ring
  Lsn vdl, head;       // begin <= vdl <= head
  uint64_t shape = 0;  // counts changes of geometry and members
};

// A picture for status and metrics.
struct FollowerStatus {
  std::string node;
  bool is_connected = false;
  bool is_behind = false;  // what it needs next fell out of the ring: it will jump
  Lsn sent, announced;     // redo, VDL
  Lsn published;           // as it said last
  Lsn lowest_read_point;
  bool is_holding = false;
  absl::Duration silent_for;
  uint64_t jumps = 0;  // on this stream
};

class Followers {
 public:
  struct Options {
    int max_followers = 15;
    absl::Duration hold = absl::Seconds(30);
    absl::Duration heartbeat = absl::Milliseconds(500);
  };
  explicit Followers(Options options) : options_(options) {}

  // A reader has opened a stream. It takes the place of an older one of the same node, which is
  // returned and is to be ended. FAILED_PRECONDITION: it has followed a newer writer, or another
  // volume. RESOURCE_EXHAUSTED: too many readers.
  absl::StatusOr<std::optional<FollowerId>> Add(FollowerId id, const protocol::FollowHello& hello,
                                                const RedoFeedState& feed, Instant now);
  void Progressed(FollowerId id, const protocol::FollowProgress& progress, Instant now);
  // The last message has left: it may be given another.
  void Sent(FollowerId id);
  void Remove(FollowerId id);

  // What to send next; nullopt: nothing now.
  struct Plan {
    bool starts = false;
    bool is_jump = false;
    bool tells_shape = false;
    Lsn after;     // where redo goes on
    Lsn notified;  // the last VDL announced
  };
  std::optional<Plan> Next(FollowerId id, const RedoFeedState& feed, Instant now);
  // The plan, made of the same `feed`, is carried out with redo through `through` (a commit LSN, or
  // plan.after). `too_large`: the commit LSN of a mini-transaction that comes next and cannot be
  // sent at all: the follower will jump over it. Returns the VDL to announce; nullopt: the follower
  // has gone meanwhile.
  std::optional<Lsn> Send(FollowerId id, const Plan& plan, Lsn through,
                          std::optional<Lsn> too_large, const RedoFeedState& feed, Instant now);

  // Those that may be given a message.
  std::vector<FollowerId> Idle() const;
  bool is_empty() const { return streams_.empty(); }
  // The lowest read point that a reader holds; nullopt: none.
  std::optional<Lsn> LowestHold() const;
  // Frees what silent readers hold, and returns their names.
  std::vector<std::string> Expire(Instant now);

  // `ring_begin`: as in RedoFeedState.
  std::vector<FollowerStatus> Status(Lsn ring_begin, Instant now) const;

 private:
  struct Stream {
    std::string node;
    bool is_started = false;
    bool is_sending = false;
    Lsn cursor;     // redo through here was sent
    Lsn announced;  // VDL
    std::optional<Lsn> too_large;
    uint64_t shape = 0;
    Instant sent_at;
    uint64_t jumps = 0;
  };
  struct Reader {  // by name, outlives its streams
    std::optional<FollowerId> stream;
    Lsn lowest_read_point;
    Lsn published;
    bool is_holding = false;
    Instant heard_at;
  };
  bool MustJump(const Stream& stream, const RedoFeedState& feed) const;

  const Options options_;
  std::map<FollowerId, Stream> streams_;
  std::map<std::string, Reader> readers_;
};

}  // namespace sextant::compute
