// SegmentModel: what a segment must hold, worked out the slow and obvious way from what its disk
// was told. The oracle of the segment target.
//
// It knows three rules of docs/PROTOCOL.md, "Storage node", and nothing of how a segment keeps
// them: a record counts unless it is at or below SCL, held already or annulled; SCL is as far as
// the links by protection group lead without a gap; a truncation takes out what it annuls. After
// any peer input, however absurd, the segment must agree.
#pragma once

#include <cstdint>
#include <map>

#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::fuzz {

class SegmentModel {
 public:
  // From what a crash left: the batches that still decode, in the order of their positions.
  explicit SegmentModel(const storage::testing::Disk& disk);

  // The write that has just become durable.
  void Apply(const storage::StoreWrite& write);

  // Stops the process where the segment says otherwise.
  void CheckStatus(const protocol::SegmentStatus& status) const;
  // `records` are what a log read of everything gave.
  void CheckLog(const std::vector<log::RedoRecord>& records) const;
  // Whether a record may take part in any read.
  void CheckServed(const log::RecordHeader& record) const;

  bool IsOwnPage(PageNo page) const;
  Lsn scl() const;

 private:
  void ApplyBatch(std::string_view bytes);
  void Truncate(const std::vector<volume::Truncation>& before);
  bool IsAnnulled(const log::RecordHeader& record) const;

  storage::SegmentState state_;
  std::map<Lsn, log::RecordHeader> held_;
  uint64_t log_bytes_ = 0;
};

}  // namespace sextant::fuzz
