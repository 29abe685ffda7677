// What sizes a volume may have. See geometry.h.
#include "common/volume/geometry.h"

#include "common/base/text.h"

namespace sextant::volume {

absl::Status ValidateGeometry(uint32_t page_bytes, uint64_t segment_bytes, uint32_t pg_count) {
  if (page_bytes < 512 || page_bytes > 65536 || (page_bytes & (page_bytes - 1)) != 0) {
    return absl::InvalidArgumentError(
        Text("page size ", page_bytes, " is not a power of two from 512 to 65536"));
  }
  if (segment_bytes == 0 || segment_bytes % page_bytes != 0) {
    return absl::InvalidArgumentError(Text("segment size ", segment_bytes,
                                           " is not a positive multiple of the page size ",
                                           page_bytes));
  }
  if (pg_count == 0) {
    return absl::InvalidArgumentError("a volume has at least one protection group");
  }
  if (segment_bytes > UINT64_MAX / pg_count) {
    return absl::InvalidArgumentError(
        Text(pg_count, " protection groups of ", segment_bytes, " bytes are more than 2^64 bytes"));
  }
  return absl::OkStatus();
}

}  // namespace sextant::volume
