// See read_points.h.
#include "compute-node/volume/read_points.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::compute {

void ReadPoints::Open(Lsn lsn) { ++open_[lsn]; }

void ReadPoints::Close(Lsn lsn) {
  const auto it = open_.find(lsn);
  SEXTANT_CHECK(it != open_.end()) << "read point " << lsn << " is not open";
  if (--it->second == 0) open_.erase(it);
  Advance();
}

void ReadPoints::VdlRose(Lsn vdl) {
  vdl_.AdvanceTo(vdl);
  Advance();
}

void ReadPoints::Advance() {
  const Lsn floor = open_.empty() ? vdl_.Get() : std::min(open_.begin()->first, vdl_.Get());
  if (floor > pgmrpl_.Get()) pgmrpl_.AdvanceTo(floor);
}

}  // namespace sextant::compute
