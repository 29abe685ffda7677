// The names of things: volumes, protection groups, pages, members, epochs. Core; each its own type.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "common/base/strong_int.h"

namespace sextant {

// Random 64-bit identity of a volume, drawn at creation; printed as 16 hex digits. 0 is "none".
using VolumeId = StrongInt<struct VolumeIdTag>;
// Protection group: index into the volume, 0-based and dense (pages [pg * n, (pg + 1) * n)).
using PgId = StrongInt<struct PgIdTag, uint32_t>;
// 0-based page of a volume.
using PageNo = StrongInt<struct PageNoTag>;
// Raised by every recovery; fences every older writer (SIGMOD'18, section 2.4).
using VolumeEpoch = StrongInt<struct VolumeEpochTag>;
// Raised by every change of the members of a protection group (SIGMOD'18, section 4.1).
using MembershipEpoch = StrongInt<struct MembershipEpochTag>;
// Raised whenever the volume grows by a protection group.
using GeometryEpoch = StrongInt<struct GeometryEpochTag>;
// Random identity of a writer process's claim on an epoch: two claimants of one epoch differ.
using WriterId = StrongInt<struct WriterIdTag>;
// Random identity of one segment's durable state; a wiped directory comes back with another one.
using IncarnationId = StrongInt<struct IncarnationIdTag>;

// One copy of a protection group, as addressed on the storage node that hosts it.
struct SegmentId {
  VolumeId volume;
  PgId pg;
  auto operator<=>(const SegmentId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const SegmentId& s) {
    return H::combine(std::move(h), s.volume, s.pg);
  }
};

inline std::string FormatVolumeId(VolumeId id) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(16, '0');
  uint64_t value = id.value();
  for (int i = 15; i >= 0; --i, value >>= 4) text[i] = kHex[value & 15];
  return text;
}

}  // namespace sextant
