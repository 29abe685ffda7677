// What was written is only relied on once it was read back. Core.
//
// A disk may lose a write, or put it somewhere else, and report success. A stored batch that is
// lost leaves a hole in the dense positions of the log; a page version that is lost leaves an older
// one, or none, which looks as good as the truth. So before log, or a damaged version, goes because
// a page version stands in for it, that version is flushed and read back (docs/PROTOCOL.md,
// "Collection", "Rebuild", "Scrub").
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"

namespace sextant::storage {

// A stored version of a page.
struct PageVersion {
  PageNo page;
  Lsn lsn;
  bool operator==(const PageVersion&) const = default;
};

// `found`: the newest version of the page at or below written.lsn, or a higher LSN at which it must
// still be the newest (SegmentStore::ReadPage). DATA_LOSS: it is not the one that was written.
absl::Status CheckReadBack(const PageVersion& written,
                           const absl::StatusOr<std::optional<page::PageImage>>& found);

}  // namespace sextant::storage
