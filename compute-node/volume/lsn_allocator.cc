// See lsn_allocator.h.
#include "compute-node/volume/lsn_allocator.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {

LsnAllocator::LsnAllocator(Lsn next, uint64_t lal)
    : base_(Lsn(next.value() - 1)), next_(next), lal_(lal) {
  SEXTANT_CHECK(next > Lsn()) << "LSN 0 means 'before the first record'";
  SEXTANT_CHECK(lal > 0);
}

absl::Status LsnAllocator::Check(uint64_t count, Lsn vdl) const {
  if (count > lal_) {
    return absl::InvalidArgumentError(Text("a mini-transaction of ", count, " records; at most ",
                                           lal_, " are possible: split it"));
  }
  const Lsn bound = std::max(vdl, base_) + lal_;
  const uint64_t used = next_ - Lsn(1);
  if (used + count > bound.value()) {
    return absl::ResourceExhaustedError(Text("LSN allocation limit: ", used,
                                             " is allocated and only ", vdl,
                                             " is durable; wait for the write quorum, then retry"));
  }
  return absl::OkStatus();
}

Lsn LsnAllocator::Allocate(uint64_t count, Lsn vdl) {
  SEXTANT_CHECK(count > 0 && Check(count, vdl).ok()) << count << " from " << next_;
  const Lsn first = next_;
  next_ = next_ + count;
  return first;
}

}  // namespace sextant::compute
