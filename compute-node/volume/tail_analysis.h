// What a crashed writer left: from the record headers above a known VDL to VCL, VDL and tails.
// Core.
//
// A pure function, so that it can be held against a deliberately dumb one. Each protection group
// brings the highest SCL of a read quorum and the headers in (known VDL, that SCL]. A record above
// its group's highest SCL is on no write quorum. VCL is found by walking the volume chain over all
// groups in LSN order until a link is missing; VDL is the last consistency point on the way.
#pragma once

#include <span>
#include <vector>

#include "common/log/lsn.h"
#include "common/log/record.h"

namespace sextant::compute {

struct PgTail {
  Lsn scl;                                 // highest of a read quorum
  std::vector<log::RecordHeader> headers;  // in (known VDL, scl], ascending, without a gap
};

struct TailAnalysis {
  Lsn vcl;
  Lsn vdl;
  std::vector<Lsn> at_vdl;        // by PG: its last LSN at or below `vdl`
  std::vector<Lsn> at_known_vdl;  // by PG: its last LSN at or below the known VDL
};

TailAnalysis AnalyzeTail(Lsn known_vdl, std::span<const PgTail> tails);

}  // namespace sextant::compute
