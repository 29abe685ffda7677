// SegmentStore: the durable seam of a storage node, one per process for all its segments. Core
// header.
//
// What a segment must keep, and the order in which it must become durable, with no word of how. Two
// implementations: RocksDB (rocksdb_store.h) and memory (memory_store.h), the latter with a crash
// that drops what was not synced. Layout on disk: docs/FORMATS.md, "Storage node directory".
//
// The log of a segment is a dense sequence of batches, numbered by LogPosition from 1 in the order
// in which they were stored (not LSN order: gossip and retries may bring older records later). Its
// beginning may be dropped; positions go on. Page versions are a cache of the log's application and
// need no sync while that log is kept; before it is dropped, FlushPages.
//
// Thread-safety: every method may be called from any thread; Commit is called by one thread at a
// time. Errors: after the first failed write or sync Commit and WritePage return that same error
// for ever (a sync is never retried: PostgreSQL 2018, ATC'20) and the process must end.
// RESOURCE_EXHAUSTED from Commit is the exception: refused before anything was written, for want of
// room on the disk. A write that drops and appends no batch is never refused so: it makes room.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory_id.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "common/quorum/quorum.h"
#include "common/volume/descriptor.h"
#include "storage-node/store/position_set.h"

namespace sextant::storage {

// A segment's identity and promises: small, rewritten whole.
struct SegmentState {
  SegmentId segment;
  IncarnationId incarnation;
  // The segment is no more. What it promised is left, so that nothing passes for it that did not.
  bool is_dropped = false;
  volume::Descriptor descriptor;
  volume::Membership membership;
  quorum::Slot slot = 0;
  VolumeEpoch epoch;
  WriterId writer;
  std::vector<volume::Truncation> truncations;

  // Lower positions of the log were dropped.
  LogPosition first_position{1};
  // Records of the chain at or below it are no longer kept as log: page versions hold their effect,
  // and the chain goes on from it.
  Lsn log_start;
  // No read below it can be answered, even if PGMRPL is lower: page versions were not made here but
  // copied from a peer, each as of this LSN or newer.
  Lsn read_floor;
  // Positions that cannot be read and were made good: of what lay there nothing is lacking any
  // more. None of them lies below first_position.
  PositionSet healed;

  bool operator==(const SegmentState&) const = default;
};

// How far a segment's log reached, kept apart from the log so that "never had it" and "had it, lost
// or damaged" can be told apart when the log is read back.
struct LogHighWater {
  SegmentId segment;
  LogPosition last_position;
  Lsn scl;  // no higher SCL was ever acknowledged: the highest LSN stored so far

  bool operator==(const LogHighWater&) const = default;
};

// Above every LSN: nothing says any more how far the log reached, it is damaged for good.
inline constexpr Lsn kUnknownScl{UINT64_MAX >> 1};

struct LogAppend {
  SegmentId segment;
  LogPosition position;
  std::shared_ptr<const std::string> batch;  // encoded, log/batch.h
};

// The batches at positions below `before` go.
struct LogDrop {
  SegmentId segment;
  LogPosition before;
};

// All of it becomes durable together, with one sync, or (after a crash) none of it.
struct StoreWrite {
  std::vector<LogAppend> log;
  std::vector<LogHighWater> high_water;
  std::vector<SegmentState> states;
  // Takes a place in the same write as the state whose first_position tells of it.
  std::vector<LogDrop> log_drops;
  // State, mark, log and page versions of the segment go. They go first: the same write may begin
  // the segment anew.
  std::vector<SegmentId> dropped_segments;
  // What takes the place of a dropped one's state: is_dropped.
  std::vector<SegmentState> remains;

  bool empty() const {
    return log.empty() && high_water.empty() && states.empty() && log_drops.empty() &&
           dropped_segments.empty();
  }
  bool MakesRoom() const { return log.empty() && !(log_drops.empty() && dropped_segments.empty()); }
};

class SegmentStore {
 public:
  virtual ~SegmentStore() = default;

  // Another one than that of any store which this one took the place of. 0: not known.
  virtual DirectoryId directory() const { return DirectoryId(); }

  // Returns once everything in `write` survives a power loss.
  virtual absl::Status Commit(const StoreWrite& write) = 0;

  // All segments of the directory, and what remains of dropped ones.
  virtual absl::StatusOr<std::vector<SegmentState>> LoadStates() = 0;
  // The high-water mark of one segment; nullopt before its first append. It says what must be
  // there, not what is.
  virtual absl::StatusOr<std::optional<LogHighWater>> LoadHighWater(SegmentId segment) = 0;
  // Calls `visit` for each stored batch from position `from` on (SegmentState::first_position), in
  // position order. Bytes are as stored: the caller verifies. A batch that cannot be read is left
  // out, which the caller sees as a gap in the positions.
  virtual absl::Status ScanLog(
      SegmentId segment, LogPosition from,
      const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) = 0;
  // One stored batch, whole. NOT_FOUND: that position holds nothing. DATA_LOSS: what it holds is
  // damaged, the segment has to be told.
  virtual absl::StatusOr<std::string> ReadBatch(SegmentId segment, LogPosition position) = 0;
  // `size` bytes at `offset` of a stored batch: one encoded record. Errors as of ReadBatch.
  virtual absl::StatusOr<std::string> ReadRecord(SegmentId segment, LogPosition position,
                                                 uint32_t offset, uint32_t size) = 0;

  // Newest stored version of a page with LSN <= `at_or_below`; nullopt if there is none. DATA_LOSS:
  // its checksum (over volume, pg, page, LSN and bytes) does not match.
  virtual absl::StatusOr<std::optional<page::PageImage>> ReadPage(SegmentId segment, PageNo page,
                                                                  Lsn at_or_below) = 0;
  // Keeps a materialised version, not synced. A version of that page and LSN is replaced.
  virtual absl::Status WritePage(SegmentId segment, PageNo page, const page::PageImage& image) = 0;
  // Once it returns, every version that was given to WritePage before the call survives a power
  // loss. Errors are for ever, as of Commit.
  virtual absl::Status FlushPages() = 0;
  // The version of exactly that LSN as a power loss would leave it: what WritePage and the drops
  // did since the last flush is looked past. For reading back what FlushPages was to keep: a copy
  // that somebody has written since would hide that it is not there. nullopt: nothing is kept of
  // that LSN. DATA_LOSS as of ReadPage.
  virtual absl::StatusOr<std::optional<page::PageImage>> ReadFlushedPage(SegmentId segment,
                                                                         PageNo page, Lsn lsn) = 0;
  // The pages >= `from` that have a stored version, ascending, at most `limit` of them; fewer means
  // that no more follow. Pages whose versions cannot be told for damage are among them: reading
  // them gives DATA_LOSS. Costs a seek per page, however many versions it has.
  virtual absl::StatusOr<std::vector<PageNo>> ListPages(SegmentId segment, PageNo from,
                                                        size_t limit) = 0;
  // For scrubbing: reads and verifies every stored version of at most `limit` pages from `from` on,
  // pages ascending, versions newest first, past the caches where there are any. Gives the page to
  // go on from; nullopt at the end. Damage is visited as DATA_LOSS and does not end the walk; where
  // not even the LSN of a damaged version can be told, it is visited as Lsn{0}, and so is each page
  // number whose versions, if it has any, lie in the damaged part.
  virtual absl::StatusOr<std::optional<PageNo>> ScanPages(
      SegmentId segment, PageNo from, size_t limit,
      const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit) = 0;
  // Drops the versions of a page whose LSN is below `below`. Not synced: after a crash they may be
  // there again. It never lasts while what was written before it is lost.
  virtual absl::Status DropPageVersions(SegmentId segment, PageNo page, Lsn below) = 0;
  // Drops the version of exactly that LSN, whether it can be read or not. Not synced; likewise.
  virtual absl::Status DropPageVersion(SegmentId segment, PageNo page, Lsn lsn) = 0;
};

}  // namespace sextant::storage
