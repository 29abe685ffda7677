// SegmentStore: the durable seam of a storage node, one per process for all its segments. Core
// header.
//
// What a segment must keep, and the order in which it must become durable, with no word of how. Two
// implementations: RocksDB (rocksdb_store.h) and memory (memory_store.h), the latter with a crash
// that drops what was not synced. Layout on disk: docs/FORMATS.md, "Storage node directory".
//
// The log of a segment is a dense sequence of batches, numbered by LogPosition from 1 in the order
// in which they were stored (not LSN order: gossip and retries may bring older records later). Page
// versions are a cache of the log's application and need no sync while that log is kept.
//
// Thread-safety: every method may be called from any thread; Commit is called by one thread at a
// time. Errors: after the first failed write or sync Commit and WritePage return that same error
// for ever (a sync is never retried: PostgreSQL 2018, ATC'20) and the process must end.
// RESOURCE_EXHAUSTED from Commit is the exception: refused before anything was written, for want of
// room on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/strong_int.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "common/quorum/quorum.h"
#include "common/volume/descriptor.h"

namespace sextant::storage {

using LogPosition = StrongInt<struct LogPositionTag>;

// A segment's identity and promises: small, rewritten whole.
struct SegmentState {
  SegmentId segment;
  IncarnationId incarnation;
  volume::Descriptor descriptor;
  volume::Membership membership;
  quorum::Slot slot = 0;
  VolumeEpoch epoch;
  WriterId writer;
  std::vector<volume::Truncation> truncations;

  bool operator==(const SegmentState&) const = default;
};

// How far a segment's log reached, kept apart from the log so that "never had it" and "had it, lost
// or damaged" can be told apart when the log is read back.
struct LogHighWater {
  SegmentId segment;
  LogPosition last_position;
  Lsn scl;  // no higher SCL was ever acknowledged: the highest LSN stored so far
};

struct LogAppend {
  SegmentId segment;
  LogPosition position;
  std::shared_ptr<const std::string> batch;  // encoded, log/batch.h
};

// All of it becomes durable together, with one sync, or (after a crash) none of it.
struct StoreWrite {
  std::vector<LogAppend> log;
  std::vector<LogHighWater> high_water;
  std::vector<SegmentState> states;

  bool empty() const { return log.empty() && high_water.empty() && states.empty(); }
};

class SegmentStore {
 public:
  virtual ~SegmentStore() = default;

  // Returns once everything in `write` survives a power loss.
  virtual absl::Status Commit(const StoreWrite& write) = 0;

  // All segments of the directory. DATA_LOSS: a state is damaged.
  virtual absl::StatusOr<std::vector<SegmentState>> LoadStates() = 0;
  // The high-water mark of one segment; nullopt before its first append.
  virtual absl::StatusOr<std::optional<LogHighWater>> LoadHighWater(SegmentId segment) = 0;
  // Calls `visit` for each stored batch in position order. Bytes are as stored: the caller
  // verifies.
  virtual absl::Status ScanLog(
      SegmentId segment,
      const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) = 0;
  // One stored batch, whole. NOT_FOUND if that position holds nothing.
  virtual absl::StatusOr<std::string> ReadBatch(SegmentId segment, LogPosition position) = 0;
  // `size` bytes at `offset` of a stored batch: one encoded record.
  virtual absl::StatusOr<std::string> ReadRecord(SegmentId segment, LogPosition position,
                                                 uint32_t offset, uint32_t size) = 0;

  // Newest stored version of a page with LSN <= `at_or_below`; nullopt if there is none. DATA_LOSS:
  // its checksum (over volume, pg, page, LSN and bytes) does not match.
  virtual absl::StatusOr<std::optional<page::PageImage>> ReadPage(SegmentId segment, PageNo page,
                                                                  Lsn at_or_below) = 0;
  // Keeps a materialised version, not synced.
  virtual absl::Status WritePage(SegmentId segment, PageNo page, const page::PageImage& image) = 0;
};

}  // namespace sextant::storage
