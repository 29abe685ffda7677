// LogBuffer: turns mini-transactions into batches, one open batch per protection group. Core.
//
// It gives each record its three back links, encodes it once into its group's batch, and says when
// a batch may be sealed: at once while no other of its group awaits its write quorum, otherwise it
// fills up while it waits (boxcarring without a timer) and joins those in flight early only when it
// has become large. Batches of a group are sealed in LSN order. A mini-transaction may span groups
// and batches; only its last record is a consistency point (CPL).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "common/base/ids.h"
#include "common/log/batch.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "common/volume/descriptor.h"

namespace sextant::compute {

// Consecutive records of one mini-transaction that lie in one protection group, named by the last.
struct PgRun {
  PgId pg;
  Lsn last;
  bool operator==(const PgRun&) const = default;
};
using PgRuns = absl::InlinedVector<PgRun, 2>;

class LogBuffer {
 public:
  struct Options {
    int max_batches_in_flight = 2;
    // What a batch has to hold to be sealed while others of its group are in flight.
    uint64_t min_overlap_bytes = 8 * 1024;
    uint64_t max_batch_bytes = 256 * 1024;
  };
  // `last_lsn`: the volume's last record; `pg_tails`: each protection group's.
  LogBuffer(const volume::Descriptor& volume, VolumeEpoch epoch, Lsn last_lsn,
            const std::vector<Lsn>& pg_tails, Options options);

  // The volume has grown to this, by groups without a record.
  void Grow(const volume::Geometry& geometry);

  // Records of one mini-transaction; the i-th gets first_lsn + i. Returns its runs in LSN order.
  PgRuns Append(const std::vector<page::PageChange>& changes, Lsn first_lsn);

  // Whether the group has records to send, and they are not to wait for what is in flight.
  bool MaySeal(PgId pg) const;
  // Seals the group's oldest batch. `header`: all but what describes the records.
  log::EncodedBatch Seal(PgId pg, const log::BatchHeader& header);
  // A batch without records.
  log::EncodedBatch SealHeartbeat(PgId pg, const log::BatchHeader& header) const;
  // The group's records through `pgcl` are on a write quorum.
  void QuorumReached(PgId pg, Lsn pgcl);

  // Highest LSN allocated and highest LSN sealed in the group.
  Lsn last_lsn(PgId pg) const { return groups_[pg.value()].last; }
  Lsn last_sealed(PgId pg) const { return groups_[pg.value()].last_sealed; }
  // Nothing of the group waits to be sealed or for its quorum.
  bool IsIdle(PgId pg) const;
  // Bytes of encoded records that are not yet on a write quorum, over all groups.
  uint64_t unacked_bytes() const { return unacked_bytes_; }
  // Bytes of records encoded since the start.
  uint64_t encoded_bytes() const { return encoded_bytes_; }

 private:
  struct InFlight {
    Lsn last;
    uint64_t bytes;
  };
  struct Group {
    Lsn last;
    Lsn last_sealed;
    std::deque<log::BatchBuilder> open;  // the back one is filling, those before it are full
    std::deque<InFlight> in_flight;
  };
  void AddRecord(Group* group, PgId pg, const log::RecordHeader& header, std::string_view payload);

  volume::Descriptor volume_;
  VolumeEpoch epoch_;
  Options options_;
  Lsn last_lsn_;
  std::vector<Group> groups_;
  uint64_t unacked_bytes_ = 0;
  uint64_t encoded_bytes_ = 0;
};

}  // namespace sextant::compute
