// ReadPoints: which LSNs are being read, and PGMRPL, the floor below which nobody reads any more.
// Core.
//
// PGMRPL = min(open read points, VDL), and it never falls: what it once passed may have been
// collected. A point opened below it holds nothing back; the segments answer it with OUT_OF_RANGE.
#pragma once

#include <cstdint>

#include "absl/container/btree_map.h"
#include "common/log/lsn.h"

namespace sextant::compute {

class ReadPoints {
 public:
  // `pgmrpl`: as an earlier writer left it. It stays there until a read point is closed or VDL
  // rises.
  ReadPoints(Lsn vdl, Lsn pgmrpl) : vdl_(vdl), pgmrpl_(pgmrpl) {}

  void Open(Lsn lsn);
  void Close(Lsn lsn);  // one that is open
  void VdlRose(Lsn vdl);

  Lsn pgmrpl() const { return pgmrpl_.Get(); }

 private:
  void Advance();

  absl::btree_map<Lsn, uint64_t> open_;  // count by LSN
  Watermark vdl_;
  Watermark pgmrpl_;
};

}  // namespace sextant::compute
