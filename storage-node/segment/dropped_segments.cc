// See dropped_segments.h.
#include "storage-node/segment/dropped_segments.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {

void DroppedSegments::Add(SegmentState remains) {
  SEXTANT_CHECK(remains.is_dropped);
  const SegmentId segment = remains.segment;
  remains_.insert_or_assign(segment, std::move(remains));
}

absl::StatusOr<SegmentState> DroppedSegments::Make(const protocol::CreateSegmentRequest& request,
                                                   IncarnationId incarnation) const {
  SegmentState state{.segment = {request.descriptor.volume, request.pg},
                     .incarnation = incarnation,
                     .descriptor = request.descriptor,
                     .membership = request.membership,
                     .slot = request.slot};
  const auto found = remains_.find(state.segment);
  if (found == remains_.end()) return state;
  const SegmentState& left = found->second;
  if (request.membership.epoch < left.membership.epoch) {
    return absl::FailedPreconditionError(
        Text("the segment of pg ", request.pg, " was replaced and dropped by membership ",
             volume::FormatMembershipEpoch(left.membership.epoch), ", it is not made for ",
             volume::FormatMembershipEpoch(request.membership.epoch),
             ": the request is late, or of a writer that was succeeded"));
  }
  state.epoch = left.epoch;
  state.writer = left.writer;
  return state;
}

}  // namespace sextant::storage
