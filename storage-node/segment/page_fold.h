// PageFold makes a page version from a stored one and the records above it. Core, pure.
//
// The page chain is checked link by link: each record must have been made on exactly the version
// that the fold has reached. A record that is missing, doubled or of another page is found here,
// whatever let it through, and never becomes bytes that somebody reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/record.h"
#include "common/page/delta.h"

namespace sextant::storage {

class PageFold {
 public:
  // Starts from `base`, or from zeros at Lsn{0}. DATA_LOSS: the base is not `page_bytes` long.
  static absl::StatusOr<PageFold> Start(PageNo page, uint32_t page_bytes,
                                        std::optional<page::PageImage> base);

  // Applies the next record, in ascending LSN order. A record at or below lsn() is part of the base
  // already and is passed over. DATA_LOSS: of another page, a broken page chain, or a malformed
  // payload; the fold is then as it was before.
  absl::Status Apply(const log::RecordView& record);

  Lsn lsn() const { return image_.lsn; }
  int applied() const { return applied_; }  // records that changed the page
  page::PageImage Take() && { return std::move(image_); }

 private:
  PageFold(PageNo page, page::PageImage image) : page_(page), image_(std::move(image)) {}

  PageNo page_;
  page::PageImage image_;
  int applied_ = 0;
};

}  // namespace sextant::storage
