// What compute nodes and segments say to each other, as plain structs. Core.
//
// State machines take and give these; only common/rpc turns them into protobuf (storage_wire.h).
// Every message that touches a segment carries the sender's volume epoch: a segment that has
// answered for a newer one refuses it with FAILED_PRECONDITION. proto/sextant/v1/storage.proto is
// the same contract on the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/directory_id.h"
#include "common/base/ids.h"
#include "common/log/batch.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "common/quorum/quorum.h"
#include "common/volume/descriptor.h"

namespace sextant::protocol {

// Answer to a batch. OK: everything through `scl` is durable on this segment (synced, no gap).
// FAILED_PRECONDITION: `epoch` above the batch's means the sender is fenced for good; below it
// means that the segment must first be told of the sender's epoch (RaiseEpoch). DATA_LOSS: the
// batch arrived damaged. RESOURCE_EXHAUSTED: no room on disk; nothing was stored. NOT_FOUND: no
// such segment here.
struct AppendAck {
  SegmentId segment;
  IncarnationId incarnation;  // whose word it is; {0}: no such segment here
  VolumeEpoch epoch;          // the segment's own
  Lsn scl;
  absl::Status status;
};

// How far a segment has come that is rebuilt from its peers' pages, since their log no longer
// reaches down to it.
struct RebuildProgress {
  std::string peer;           // the member that pages are copied from, last
  uint64_t pages_copied = 0;  // in this pass
  uint64_t bytes_copied = 0;
  PageNo next;  // pages of the group below it are done

  bool operator==(const RebuildProgress&) const = default;
};

// Asks a segment which volume epoch it has promised to stay with; travels on the append stream. The
// answer is what holds at the moment of answering, from memory: no disk is waited for.
struct EpochProbe {
  SegmentId segment;
  uint64_t round = 0;  // the asker's; comes back with the answer
};
struct EpochAnswer {
  SegmentId segment;
  IncarnationId incarnation;  // likewise
  uint64_t round = 0;
  VolumeEpoch epoch;  // {0}: no such segment here
};

// Everything a segment says of itself: for recovery, for a connecting writer, for `cluster status`.
struct SegmentStatus {
  SegmentId segment;
  IncarnationId incarnation;
  volume::Descriptor descriptor;
  volume::Membership membership;                // of its protection group
  quorum::Slot slot = 0;                        // its own place among the members
  VolumeEpoch epoch;                            // highest it has durably answered for
  WriterId writer;                              // whose claim on `epoch` it accepted
  std::vector<volume::Truncation> truncations;  // by epoch
  Lsn scl;
  Lsn known_vdl;      // highest VDL it was told with a durable batch
  Lsn pg_lsn_at_vdl;  // last LSN of the protection group at or below known_vdl
  Lsn pgmrpl;
  // Records at or below it are no longer kept as log: page versions hold their effect.
  Lsn log_start;
  // Below it no read is answered, whatever PGMRPL is: the segment was rebuilt from newer pages.
  Lsn read_floor;
  uint64_t log_bytes = 0;      // of the log held, as stored
  uint64_t records_ahead = 0;  // held above a gap, not counted by scl
  // Part of its log failed its checksum or is lost, so it may lack what it once acknowledged; until
  // resent records have closed the gap.
  bool is_damaged = false;
  std::optional<RebuildProgress> rebuild;  // while it is being rebuilt
};

// A storage node and the segments it hosts.
struct NodeStatus {
  std::string node;
  std::string zone;
  std::vector<SegmentStatus> segments;
  DirectoryId directory{};  // that holds them
};

// Makes a segment of a new protection group. Idempotent for an equal descriptor and membership, and
// where the node holds a segment of that id and slot that never held a record, left by a growth
// that was not finished; ABORTED if it holds any other. FAILED_PRECONDITION: the node has another
// data directory than the one that is meant; what it had acknowledged in that is lost.
struct CreateSegmentRequest {
  volume::Descriptor descriptor;
  PgId pg;
  volume::Membership membership;
  quorum::Slot slot = 0;
  DirectoryId directory{};
};

// Claims `epoch` for `writer` and installs truncations, geometry and membership; durable before the
// reply, which is the segment's status after all of it. Used to fence, to truncate, to grow the
// volume, to replace a member, and to bring one that was away up to date. Accepted when epoch > the
// segment's, or equal and of the same writer; FAILED_PRECONDITION otherwise. Of the segment's list
// and the request's the one whose last truncation is of the higher epoch wins, whole: lists are
// never merged, since a truncation that its recovery did not finish may rightly be missing from the
// later one. Of geometry and membership those of the higher epoch stay. INVALID_ARGUMENT: not this
// volume or group; ABORTED: another content under a known epoch.
struct RaiseEpochRequest {
  SegmentId segment;
  VolumeEpoch epoch;
  WriterId writer;
  std::vector<volume::Truncation> truncations;   // the whole list that the sender knows
  std::optional<volume::Descriptor> descriptor;  // the volume as the sender knows it
  std::optional<volume::Membership> membership;  // of this protection group
};

// Records in (after, min(through, scl)], in order, each once, none annulled, at least one record if
// there is one and otherwise up to about max_bytes. OUT_OF_RANGE: records above `after` were
// collected (SegmentStatus::log_start); their effect is in the pages.
struct ReadLogRequest {
  SegmentId segment;
  VolumeEpoch epoch;
  Lsn after;
  Lsn through{UINT64_MAX};
  uint64_t max_bytes = log::kMaxBatchBytes / 2;
};
struct ReadLogReply {
  std::vector<log::RedoRecord> records;
  Lsn scl;              // the segment's
  bool is_last = true;  // nothing more lies in the range asked for
};

// Pages as of a read point. Served when the segment is complete: its SCL has reached `pg_lsn`, the
// protection group's last LSN at or below the read point, as the reader knows; a reader that does
// not know sends none and relies on what batches told the segment. OUT_OF_RANGE: read point below
// the segment's PGMRPL, or the segment is not complete through it. DATA_LOSS: a stored byte is
// damaged.
struct ReadPagesRequest {
  SegmentId segment;
  VolumeEpoch epoch;
  Lsn read_point;
  std::optional<Lsn> pg_lsn;
  std::vector<PageNo> pages;
};
struct ReadPagesReply {
  std::vector<page::PageImage> pages;  // in the order asked for
};

// Pages of the group in order of number, from `from` on, each in its newest version at the read
// point that the reply names: the VDL that the segment was told. What a segment is rebuilt from
// when the log that it lacks is no longer kept. UNAVAILABLE: this segment is not complete through
// that VDL; ask another.
struct CopyPagesRequest {
  SegmentId segment;
  VolumeEpoch epoch;
  PageNo from;
  Lsn changed_after;  // only pages whose newest version lies above it; Lsn{0}: all ever written
  // At least one page is given, unless none changed among the many that were looked at: the reply
  // then says where to go on.
  uint64_t max_bytes = log::kMaxBatchBytes / 2;
};
struct CopyPagesReply {
  struct Page {
    PageNo page;
    page::PageImage image;
  };
  std::vector<Page> pages;
  Lsn read_point;
  Lsn pg_lsn;   // the group's last LSN at or below the read point
  PageNo next;  // where to go on, unless is_last
  bool is_last = true;
};

// Takes a segment and all that it holds off the node, for good: it was replaced.
// FAILED_PRECONDITION: the claim is older than the segment's, or `membership` is older than its own
// or still counts it. OK if there is no such segment.
struct DropSegmentRequest {
  SegmentId segment;
  VolumeEpoch epoch;
  WriterId writer;
  volume::Membership membership;
};
struct DropSegmentReply {};

}  // namespace sextant::protocol
