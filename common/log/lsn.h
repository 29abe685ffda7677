// Lsn: log sequence number, the position of one redo record in a volume's single order. Core.
//
// 64 bits, one per record, dense within a writer's epoch, never reused, not even across crashes
// (SIGMOD'17, section 4.1). Lsn{0} means "before the first record". The watermarks SCL, PGCL, VCL,
// VDL and PGMRPL are all Lsns; docs/GLOSSARY.md says who holds which.
#pragma once

#include "common/base/check.h"
#include "common/base/strong_int.h"

namespace sextant {

using Lsn = StrongInt<struct LsnTag>;

// A watermark that may only rise. Falling back is a broken invariant, not an error.
class Watermark {
 public:
  constexpr Watermark() = default;
  constexpr explicit Watermark(Lsn start) : lsn_(start) {}

  Lsn Get() const { return lsn_; }
  void AdvanceTo(Lsn lsn) {
    SEXTANT_CHECK(lsn >= lsn_) << "watermark would fall from " << lsn_ << " to " << lsn;
    lsn_ = lsn;
  }

 private:
  Lsn lsn_;
};

}  // namespace sextant
