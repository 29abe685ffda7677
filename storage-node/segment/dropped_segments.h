// DroppedSegments: what a node remembers of segments that were dropped from it. Core.
//
// A segment that was replaced goes, and with it the promise that an older writer is refused here.
// That writer may still ask for it: it has the segments of a group that it added made for as long
// as it lives, and the network may deliver its request late. An empty segment in the old place
// would pass for one that never promised nor held anything. So its claim and its last membership
// stay behind, durably (SegmentState::is_dropped): it is made anew only for a membership at least
// as new, and it begins with the promise that was left (docs/PROTOCOL.md, "Membership").
//
// The shell gives what LoadStates() tells, what Segment::Remains() left once that is durable, and
// forgets it when the segment was made anew.
#pragma once

#include <map>

#include "absl/status/statusor.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class DroppedSegments {
 public:
  // `remains` is_dropped.
  void Add(SegmentState remains);
  void MadeAnew(SegmentId segment) { remains_.erase(segment); }

  // The state that a segment is made with, which the node does not have. FAILED_PRECONDITION: it
  // was dropped by a newer membership than the one that asks.
  absl::StatusOr<SegmentState> Make(const protocol::CreateSegmentRequest& request,
                                    IncarnationId incarnation) const;

 private:
  std::map<SegmentId, SegmentState> remains_;
};

}  // namespace sextant::storage
