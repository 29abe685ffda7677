// PageCopier: gives a peer the pages of a segment in order of number (CopyPages). Runs on the
// calling thread.
//
// The other side is storage-node/segment/rebuild.h. Which pages there are is the union of those
// that the segment's log shows and those that have a stored version; each is made as for a reader,
// at the read point of the whole reply. Internal to server/.
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/storage_messages.h"
#include "storage-node/segment/stored_bytes.h"
#include "storage-node/server/segment_reader.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class PageCopier {
 public:
  // Pointers outlive the copier.
  PageCopier(SegmentStore* store, SegmentReader* reader) : store_(store), reader_(reader) {}

  // Errors of Segment::PlanPageCopy. DATA_LOSS: the first page to be given is damaged here.
  absl::StatusOr<protocol::CopyPagesReply> CopyPages(SegmentSlot* slot,
                                                     const protocol::CopyPagesRequest& request);

 private:
  absl::StatusOr<CopyPortion> NextPages(SegmentSlot* slot,
                                        const protocol::CopyPagesRequest& request,
                                        protocol::CopyPagesReply* reply);

  SegmentStore* const store_;
  SegmentReader* const reader_;
};

}  // namespace sextant::storage
