// SegmentSlot: a segment with its lock and its place in the committer's queue. Internal to server/.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "storage-node/segment/segment.h"

namespace sextant::storage {

// Slots are made when a segment is and live as long as the node.
struct SegmentSlot {
  explicit SegmentSlot(SegmentState state)
      : id(state.segment),
        page_bytes(state.descriptor.geometry.page_bytes),
        segment(std::move(state)) {}

  const SegmentId id;
  const uint32_t page_bytes;

  std::mutex mutex;                                  // never held over I/O or a callback
  Segment segment;                                   // guarded by mutex
  std::optional<protocol::RebuildProgress> rebuild;  // guarded by mutex
  uint64_t untaken_bytes = 0;          // of batches since the last TakeOutput; guarded by mutex
  std::atomic<bool> is_queued{false};  // waits for the committer
  // Being dropped, or gone: takes nothing in any more, and nothing of it is stored.
  std::atomic<bool> is_dropped{false};
};

}  // namespace sextant::storage
