// RecordChain: redo as a writer would make it, for tests: dense LSNs, right back links, CPLs,
// batches.
//
// It also keeps every record, so that it can say what a page must look like at any LSN: the oracle
// that segments, stores and caches are compared with. Applying is done here by plain byte copies,
// not by the code under test. One writer's view; not thread-safe.
//
//   RecordChain chain(VolumeId(7), {.pages_per_pg = 16, .pg_count = 2});
//   chain.Write(PageNo(3), 100, "hello");                       // an MTR of one record
//   chain.Mtr({{PageNo(3), 0, "a"}, {PageNo(20), 8, "b"}});     // one over two protection groups
//   log::EncodedBatch batch = chain.Batch(PgId(0), Lsn(0));     // all of PG 0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/prng.h"
#include "common/log/batch.h"
#include "common/log/lsn.h"
#include "common/log/record.h"
#include "common/volume/geometry.h"

namespace sextant::testing {

// Bytes written at `offset` of a page; a full image has offset 0 and the whole page.
struct PageEdit {
  PageNo page;
  uint32_t offset = 0;
  std::string bytes;
  bool is_full_image = false;
};

class RecordChain {
 public:
  // Six members are none of its business; `epoch` is the writer's.
  RecordChain(VolumeId volume, volume::Geometry geometry, VolumeEpoch epoch = VolumeEpoch(1));

  // One mini-transaction: a record per edit, in order, the last one a CPL. Returns its records.
  std::vector<log::RedoRecord> Mtr(const std::vector<PageEdit>& edits);
  // A mini-transaction of one record.
  log::RedoRecord Write(PageNo page, uint32_t offset, std::string bytes);
  log::RedoRecord WriteImage(PageNo page, std::string image);
  // A mini-transaction of 1 to max_records random edits over all pages of the volume.
  std::vector<log::RedoRecord> RandomMtr(Prng* prng, int max_records = 4);

  // What recovery does to the log: records above `vdl` are forgotten, and the next LSN lies above
  // `upper`. Links of new records point at what was kept.
  void Truncate(Lsn vdl, Lsn upper, VolumeEpoch new_epoch);

  // The records of `pg` in (after, through], as one batch that says vdl, pg_lsn_at_vdl, pgmrpl.
  // By default the batch claims nothing durable. A batch of no records is a heartbeat.
  log::EncodedBatch Batch(PgId pg, Lsn after, Lsn through = Lsn(UINT64_MAX), Lsn vdl = Lsn(0),
                          Lsn pgmrpl = Lsn(0)) const;
  // Any records of one protection group, ascending, as a batch.
  log::EncodedBatch BatchOf(PgId pg, const std::vector<log::RedoRecord>& records, Lsn vdl = Lsn(0),
                            Lsn pgmrpl = Lsn(0)) const;

  const std::vector<log::RedoRecord>& records() const { return records_; }  // ascending
  std::vector<log::RedoRecord> RecordsOf(PgId pg, Lsn after = Lsn(0),
                                         Lsn through = Lsn(UINT64_MAX)) const;
  Lsn last_lsn() const { return last_; }
  // The protection group's, or the page's, last LSN at or below `at`; Lsn{0} where there is none.
  Lsn PgLsnAt(PgId pg, Lsn at) const;
  Lsn PageLsnAt(PageNo page, Lsn at) const;
  // The page with everything at or below `at` applied.
  std::string PageAt(PageNo page, Lsn at) const;

  VolumeId volume() const { return volume_; }
  const volume::Geometry& geometry() const { return geometry_; }
  VolumeEpoch epoch() const { return epoch_; }

 private:
  struct Entry {  // how the record came about, for PageAt
    Lsn lsn;
    PageEdit edit;
  };
  void Append(const PageEdit& edit, bool is_cpl);

  VolumeId volume_;
  volume::Geometry geometry_;
  VolumeEpoch epoch_;
  Lsn last_;         // last allocated
  Lsn prev_volume_;  // last kept: what the next record links to
  std::vector<log::RedoRecord> records_;
  std::vector<Entry> edits_;
};

}  // namespace sextant::testing
