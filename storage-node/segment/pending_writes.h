// PendingWrites: what a segment has taken in and the shell has not yet reported durable. Core.
//
// The round collects; TakeOutput hands it out under a ticket; Persisted retires tickets in order.
// What a write changes in the segment (chain, index, epoch, watermarks) waits in here until then,
// so that the segment's state never runs ahead of its disk. Log positions are given at hand-out,
// dense, and are given again when a write is refused.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "common/base/ids.h"
#include "common/base/strong_int.h"
#include "common/log/batch.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// Names the party or request that an answer is for; chosen by the shell, opaque here.
using ReplyToken = StrongInt<struct ReplyTokenTag>;
// Names one set of duties to persist; tickets ascend.
using PersistTicket = StrongInt<struct PersistTicketTag>;

// A record of a batch without its payload.
struct BatchRecord {
  log::RecordHeader header;
  uint32_t offset = 0;  // from the start of the batch
  uint32_t size = 0;
};

// A batch to be stored, and those of its records that the segment wants.
struct PendingBatch {
  LogPosition position;  // Lsn order and position order are unrelated; 0 until handed out
  log::BatchHeader header;
  std::vector<BatchRecord> records;  // ascending, at least one
  uint64_t stored_bytes = 0;
  std::shared_ptr<const std::string> bytes;  // until handed out
};

// A RaiseEpoch whose answer waits for the disk.
struct PendingRaise {
  ReplyToken from;
  VolumeEpoch epoch;
  WriterId writer;
};

// A new beginning of the segment's log. Pages hold, durably, the effect of every record at or below
// `lsn`, each as of `read_floor` or older if that is higher; else as of `lsn` or older.
struct LogStart {
  Lsn lsn;         // of the group's chain; it may lie above SCL if the pages came from elsewhere
  Lsn read_floor;  // no page is read below it any more
};

struct PendingWrite {
  PersistTicket ticket;
  std::vector<PendingBatch> batches;
  std::optional<SegmentState> state;  // filled in at hand-out, when a promise is in it
  std::vector<PendingRaise> raises;
  absl::btree_set<ReplyToken> ack_to;
  std::optional<ReplyToken> log_start_from;  // a new log start is in `state`; its answer is due

  bool empty() const { return batches.empty() && raises.empty() && ack_to.empty(); }
};

class PendingWrites {
 public:
  explicit PendingWrites(LogPosition last_stored = {}) : last_position_(last_stored) {}

  PendingWrite& round() { return round_; }
  // The newest write that has anything in it: what is answered with it is answered after everything
  // taken in so far. Null if nothing is pending.
  PendingWrite* newest();
  bool IsPending(Lsn lsn) const;
  // The state that the newest write handed out with one carries.
  std::optional<SegmentState> newest_state() const;
  void Add(PendingBatch batch);

  // Closes the round and gives it its ticket and positions. The round must not be empty.
  PendingWrite& HandOut();
  // Hands out a write beside the round, which stays: it has no batches.
  PendingWrite& HandOut(PendingWrite write);
  // Nothing is handed out and undecided.
  bool is_settled() const { return handed_out_.empty(); }
  // Takes out the oldest write handed out, if its ticket is at or below `ticket`.
  std::optional<PendingWrite> TakePersisted(PersistTicket ticket);
  // Takes out every write handed out with this ticket or a later one; their positions are free
  // again.
  std::vector<PendingWrite> TakeRefused(PersistTicket ticket);

  LogPosition last_position() const { return last_position_; }

 private:
  PendingWrite round_;
  std::deque<PendingWrite> handed_out_;  // ascending tickets
  PersistTicket last_ticket_;
  LogPosition last_position_;
  Lsn newest_lsn_;  // nothing pending lies above it
};

}  // namespace sextant::storage
