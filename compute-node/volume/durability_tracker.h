// DurabilityTracker: VCL and VDL from the protection groups' PGCLs. Core.
//
// VCL: the highest LSN such that every record at or below it has met its group's quorum. VDL: the
// highest CPL at or below VCL. Mini-transactions are kept in LSN order as runs, one entry per run
// of records in one group, and leave at the front: constant work per run, whatever the volume's
// size.
#pragma once

#include <deque>
#include <vector>

#include "common/log/lsn.h"
#include "compute-node/volume/log_buffer.h"

namespace sextant::compute {

class DurabilityTracker {
 public:
  // `vdl`: everything through it is durable, nothing lies above. `pg_tails`: by PG, last LSN there.
  DurabilityTracker(Lsn vdl, std::vector<Lsn> pg_tails);

  // One more protection group, without a record.
  void AddGroup() { pgcl_.emplace_back(); }

  // One mini-transaction was appended; the last run's last record is its CPL.
  void Append(const PgRuns& runs);
  // A group's PGCL rose. Appends to *durable the runs that VDL passed, in LSN order; none: VDL
  // stays.
  void PgclRose(PgId pg, Lsn pgcl, std::vector<PgRun>* durable);

  Lsn vcl() const { return vcl_.Get(); }
  Lsn vdl() const { return vdl_.Get(); }

 private:
  struct Entry {
    PgRun run;
    bool is_cpl;
  };
  std::deque<Entry> waiting_;     // not whole at or below VCL
  std::vector<PgRun> above_vdl_;  // at or below VCL, of a mini-transaction that is not yet whole
  std::vector<Lsn> pgcl_;         // by PG
  Watermark vcl_;
  Watermark vdl_;
};

}  // namespace sextant::compute
