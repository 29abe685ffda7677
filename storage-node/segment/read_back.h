// What was written is only relied on once it was read back. Core.
//
// A disk may lose a write, or put it somewhere else, and report success. A stored batch that is
// lost leaves a hole in the dense positions of the log; a page version that is lost leaves an older
// one, or none, which looks as good as the truth. So before log, or a damaged version, goes because
// a page version stands in for it, that version is flushed and read back (docs/PROTOCOL.md,
// "Collection", "Rebuild", "Scrub"), past what was written since: reads, repairs and copies go on
// meanwhile, and one that stores the same version anew would hide that the flushed one is lost
// (simulator, seed 1009261 of f53c584).
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// A stored version of a page.
struct PageVersion {
  PageNo page;
  Lsn lsn;
  bool operator==(const PageVersion&) const = default;
};

// What SegmentStore::FlushPages was to keep. OK: it is there as a power loss would leave it, and is
// the page's newest at or below `at_or_below` (not less than its LSN). DATA_LOSS: it is not, or
// something there is damaged.
absl::Status ReadBackPage(SegmentStore* store, SegmentId segment, const PageVersion& written,
                          Lsn at_or_below);
// One of these two looks. DATA_LOSS: what was found is not the version that was written.
absl::Status CheckReadBack(const PageVersion& written,
                           const absl::StatusOr<std::optional<page::PageImage>>& found);

}  // namespace sextant::storage
