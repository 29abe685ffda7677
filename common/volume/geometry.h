// Geometry: which page lives in which protection group, and how long the volume is. Core.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/ids.h"

namespace sextant::volume {

inline constexpr uint64_t kDefaultSegmentBytes = 10ull << 30;  // SIGMOD'17, section 2.2: 10 GB

// Fixed at creation, but for pg_count, which grows and raises the epoch by one for every group: of
// one volume an epoch says how many groups there are, whoever added them.
struct Geometry {
  uint32_t page_bytes = 4096;
  uint64_t pages_per_pg = kDefaultSegmentBytes / 4096;
  uint32_t pg_count = 1;
  GeometryEpoch epoch{1};

  // Of a page beyond every possible volume: the largest PgId, which no volume has.
  PgId PgOf(PageNo page) const {
    const uint64_t pg = page.value() / pages_per_pg;
    return PgId(pg < UINT32_MAX ? static_cast<uint32_t>(pg) : UINT32_MAX);
  }
  uint64_t PageCount() const { return pages_per_pg * pg_count; }
  bool Contains(PageNo page) const { return page.value() < PageCount(); }
  // The same with `count` groups; at least as many as there are.
  Geometry Grown(uint32_t count) const {
    Geometry grown = *this;
    grown.pg_count = count;
    grown.epoch = epoch + (count - pg_count);
    return grown;
  }

  bool operator==(const Geometry&) const = default;
};

// INVALID_ARGUMENT with what is allowed: page_bytes a power of two in [512, 65536], segment_bytes a
// positive multiple of it, pg_count >= 1, and the whole addressable in 64 bits.
absl::Status ValidateGeometry(uint32_t page_bytes, uint64_t segment_bytes, uint32_t pg_count);

}  // namespace sextant::volume
