// The batch: records of one protection group that travel and are stored together. Core.
//
// A batch is serialised once; the same bytes go to all six members, into each member's log, and
// back out of it. Its header carries what every member must learn with it: the sender's epochs, how
// far the volume is durable, and how far page versions may be collected. A batch of no records is a
// heartbeat. Header and records have their own CRCs, so every byte is covered once.
// docs/FORMATS.md, "Batch".
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/log/record.h"

namespace sextant::log {

struct BatchHeader {
  VolumeId volume;
  PgId pg;
  VolumeEpoch epoch;           // of the sender; records inside may be older (write-back, gossip)
  MembershipEpoch membership;  // of the sender's view of this protection group
  Lsn vdl;                     // the volume is durable through here, as the sender knows
  Lsn pg_lsn_at_vdl;           // last LSN of this protection group at or below `vdl`
  Lsn pgmrpl;                  // nobody reads below this any more
  Lsn held_by_all;             // every member that is waited for holds the group through here
  uint32_t record_count = 0;
  uint32_t body_bytes = 0;  // of the records that follow the header

  bool operator==(const BatchHeader&) const = default;
};

// Largest encoded batch, header included. Longer mini-transactions travel as several batches.
inline constexpr size_t kMaxBatchBytes = 4 * 1024 * 1024;
// Largest encoded header, and what is left for the records.
inline constexpr size_t kMaxBatchHeaderBytes = 96;
inline constexpr size_t kMaxBatchBodyBytes = kMaxBatchBytes - kMaxBatchHeaderBytes;
static_assert(kMaxBatchBodyBytes >= kMaxRecordOverheadBytes + kMaxPayloadBytes);

// An encoded batch that many may hold: peers, the log, a resend buffer.
struct EncodedBatch {
  BatchHeader header;
  Lsn first_lsn;  // Lsn{0} in a heartbeat
  Lsn last_lsn;
  std::shared_ptr<const std::string> bytes;
};

// Collects records, then prefixes the header. Records must come in ascending LSN order and fit
// (HasRoomFor): an empty builder has room for any one record.
class BatchBuilder {
 public:
  BatchBuilder(VolumeId volume, PgId pg) : volume_(volume), pg_(pg) {}

  // Whether one more record of that payload size still fits kMaxBatchBytes, whatever its header.
  bool HasRoomFor(size_t payload_bytes) const {
    return body_.size() + kMaxRecordOverheadBytes + payload_bytes <= kMaxBatchBodyBytes;
  }
  void Add(const RecordHeader& header, std::string_view payload);
  bool empty() const { return count_ == 0; }
  size_t body_bytes() const { return body_.size(); }
  Lsn last_lsn() const { return last_; }

  // Fills volume, pg, record_count and body_bytes of `header`; leaves the builder empty.
  EncodedBatch Seal(BatchHeader header);

 private:
  VolumeId volume_;
  PgId pg_;
  std::string body_;
  uint32_t count_ = 0;
  Lsn first_;
  Lsn last_;
};

// A decoded batch: every record's CRC was verified. Views point into the bytes that were decoded.
struct BatchView {
  BatchHeader header;
  struct Entry {
    RecordView record;
    uint32_t offset;  // of the encoded record from the start of the batch
    uint32_t size;    // of the encoded record
  };
  std::vector<Entry> entries;
};

// Decodes and verifies a whole batch. DATA_LOSS: any byte is wrong, or there are bytes left over.
absl::StatusOr<BatchView> DecodeBatch(std::string_view bytes);
// The header alone, verified by its own CRC; says nothing about the records.
absl::StatusOr<BatchHeader> DecodeBatchHeader(std::string_view bytes);
// Decodes, verifies and wraps bytes that arrived from elsewhere.
absl::StatusOr<EncodedBatch> WrapBatch(std::shared_ptr<const std::string> bytes);

}  // namespace sextant::log
