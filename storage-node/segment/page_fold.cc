// See page_fold.h. One link checked, one payload applied, at a time.
#include "storage-node/segment/page_fold.h"

#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {

absl::StatusOr<PageFold> PageFold::Start(PageNo page, uint32_t page_bytes,
                                         std::optional<page::PageImage> base) {
  if (!base.has_value()) {
    return PageFold(page, page::PageImage{.lsn = Lsn(), .bytes = std::string(page_bytes, '\0')});
  }
  if (base->bytes.size() != page_bytes) {
    return absl::DataLossError(Text("page ", page, ": stored version at lsn ", base->lsn, " has ",
                                    base->bytes.size(), " bytes, not ", page_bytes));
  }
  return PageFold(page, *std::move(base));
}

absl::Status PageFold::Apply(const log::RecordView& record) {
  const log::RecordHeader& header = record.header;
  if (header.page != page_) {
    return absl::DataLossError(
        Text("page ", page_, ": lsn ", header.lsn, " is a record of page ", header.page));
  }
  if (header.lsn <= image_.lsn) return absl::OkStatus();
  if (!header.is_full_image && header.prev_page_lsn != image_.lsn) {
    return absl::DataLossError(Text("page ", page_, ": page chain broken, lsn ", header.lsn,
                                    " was made on ", header.prev_page_lsn, " and ", image_.lsn,
                                    " is what there is"));
  }
  if (absl::Status status = page::ApplyPayload(record.payload, header.is_full_image, &image_.bytes);
      !status.ok()) {
    return absl::Status(status.code(),
                        Text("page ", page_, ", lsn ", header.lsn, ": ", View(status.message())));
  }
  image_.lsn = header.lsn;
  ++applied_;
  return absl::OkStatus();
}

}  // namespace sextant::storage
