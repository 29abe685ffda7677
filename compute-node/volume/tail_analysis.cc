// See tail_analysis.h.
#include "compute-node/volume/tail_analysis.h"

#include <algorithm>

namespace sextant::compute {
namespace {

// The last LSN of a group at or below `lsn`, which is not below the known VDL.
Lsn LastAtOrBelow(const PgTail& tail, Lsn lsn) {
  if (tail.headers.empty()) return tail.scl;  // nothing above the known VDL, where this is its last
  const auto above = std::ranges::find_if(
      tail.headers, [lsn](const log::RecordHeader& header) { return header.lsn > lsn; });
  if (above == tail.headers.begin()) return above->prev_pg_lsn;
  return std::prev(above)->lsn;
}

}  // namespace

TailAnalysis AnalyzeTail(Lsn known_vdl, std::span<const PgTail> tails) {
  std::vector<const log::RecordHeader*> records;
  for (const PgTail& tail : tails) {
    for (const log::RecordHeader& header : tail.headers) records.push_back(&header);
  }
  std::ranges::sort(records, {}, &log::RecordHeader::lsn);

  TailAnalysis result{.vcl = known_vdl, .vdl = known_vdl};
  for (const log::RecordHeader* record : records) {
    if (record->prev_volume_lsn != result.vcl) break;
    result.vcl = record->lsn;
    if (record->is_cpl) result.vdl = record->lsn;
  }
  for (const PgTail& tail : tails) {
    result.at_vdl.push_back(LastAtOrBelow(tail, result.vdl));
    result.at_known_vdl.push_back(LastAtOrBelow(tail, known_vdl));
  }
  return result;
}

}  // namespace sextant::compute
