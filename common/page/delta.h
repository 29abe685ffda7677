// What a redo record's payload means: byte ranges of a page, or its whole image. Core.
//
// Storage nodes apply payloads without knowing the engine. A delta payload is a list of
// (gap from the end of the previous range, length, bytes), gap and length as varints; a full-image
// payload is the page itself. docs/FORMATS.md, "Record payload".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"

namespace sextant::page {

inline constexpr uint32_t kDefaultPageBytes = 4096;

// A page as of one LSN: the fold of all its records up to and including `lsn`. A page that was
// never written is `page_bytes` zeros at Lsn{0}.
struct PageImage {
  Lsn lsn;
  std::string bytes;
};

// One page's part of a mini-transaction before it has an LSN.
struct PageChange {
  PageNo page;
  Lsn base_lsn;  // LSN of the version that the change was made on: becomes prev_page_lsn
  bool is_full_image = false;
  std::string payload;
};

struct ByteRange {
  uint32_t offset;
  std::string_view bytes;
};

// Encodes ranges, ascending and disjoint, as a delta payload.
std::string EncodeRanges(const std::vector<ByteRange>& ranges);

// The change from `before` to `after` (same size): ranges that differ, merged over equal gaps of up
// to 8 bytes, or the whole image where that is not larger. An empty payload: the pages are equal.
struct Diff {
  bool is_full_image = false;
  std::string payload;
};
Diff DiffPages(std::string_view before, std::string_view after);

// Applies one payload to *page in place. DATA_LOSS: a range lies outside the page, or the payload
// is malformed; *page is then unchanged.
absl::Status ApplyPayload(std::string_view payload, bool is_full_image, std::string* page);

}  // namespace sextant::page
