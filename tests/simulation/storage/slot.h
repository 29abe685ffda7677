// Slot: a segment on a simulated node, and its place in the committer's queue.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "storage-node/segment/segment.h"

namespace sextant::simulation {

struct Slot {
  explicit Slot(storage::SegmentState state)
      : id(state.segment),
        page_bytes(state.descriptor.geometry.page_bytes),
        segment(std::move(state)) {}

  const SegmentId id;
  const uint32_t page_bytes;
  storage::Segment segment;
  bool is_queued = false;
  bool is_dropped = false;  // takes nothing in any more, and nothing of it is stored
};

using Slots = std::map<SegmentId, std::unique_ptr<Slot>>;

}  // namespace sextant::simulation
