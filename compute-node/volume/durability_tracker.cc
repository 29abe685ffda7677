// See durability_tracker.h.
#include "compute-node/volume/durability_tracker.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::compute {

DurabilityTracker::DurabilityTracker(Lsn vdl, std::vector<Lsn> pg_tails)
    : pgcl_(std::move(pg_tails)), vcl_(vdl), vdl_(vdl) {
  for (Lsn tail : pgcl_) SEXTANT_CHECK(tail <= vdl) << tail << " above VDL " << vdl;
}

void DurabilityTracker::Append(const PgRuns& runs) {
  SEXTANT_CHECK(!runs.empty());
  SEXTANT_CHECK(runs.front().last > (waiting_.empty() ? vcl() : waiting_.back().run.last));
  for (const PgRun& run : runs) waiting_.push_back({run, &run == &runs.back()});
}

void DurabilityTracker::PgclRose(PgId pg, Lsn pgcl, std::vector<PgRun>* durable) {
  SEXTANT_CHECK(pgcl >= pgcl_[pg.value()]) << "PGCL of pg " << pg << " would fall";
  pgcl_[pg.value()] = pgcl;
  while (!waiting_.empty()) {
    const Entry& front = waiting_.front();
    const Lsn reached = pgcl_[front.run.pg.value()];
    if (reached < front.run.last) {
      // Part of the run may be there: a PGCL above VCL is an LSN of this run, since the group's
      // next record after VCL is the run's first.
      vcl_.AdvanceTo(std::max(vcl(), reached));
      return;
    }
    vcl_.AdvanceTo(front.run.last);
    above_vdl_.push_back(front.run);
    if (front.is_cpl) {
      vdl_.AdvanceTo(front.run.last);
      durable->insert(durable->end(), above_vdl_.begin(), above_vdl_.end());
      above_vdl_.clear();
    }
    waiting_.pop_front();
  }
}

}  // namespace sextant::compute
