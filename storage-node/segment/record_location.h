// RecordLocation: where one redo record lies in a segment's stored log. Core.
#pragma once

#include <cstdint>

#include "common/log/lsn.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// `size` bytes at `offset` of the batch stored at `position`: one encoded record (log/record.h).
// 24 bytes: a segment keeps one for every record it holds.
struct RecordLocation {
  Lsn lsn;
  LogPosition position;
  uint32_t offset = 0;
  uint32_t size = 0;

  bool operator==(const RecordLocation&) const = default;
};

}  // namespace sextant::storage
