// See read_back.h.
#include "storage-node/segment/read_back.h"

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {

absl::Status CheckReadBack(const PageVersion& written,
                           const absl::StatusOr<std::optional<page::PageImage>>& found) {
  RETURN_IF_ERROR(found.status());
  if (found->has_value() && (*found)->lsn == written.lsn) return absl::OkStatus();
  return absl::DataLossError(Text("page ", written.page, ": the version at lsn ", written.lsn,
                                  " was written and is not there: nothing is given up for it"));
}

absl::Status ReadBackPage(SegmentStore* store, SegmentId segment, const PageVersion& written,
                          Lsn at_or_below) {
  RETURN_IF_ERROR(CheckReadBack(written, store->ReadPage(segment, written.page, at_or_below)));
  return CheckReadBack(written, store->ReadFlushedPage(segment, written.page, written.lsn));
}

}  // namespace sextant::storage
