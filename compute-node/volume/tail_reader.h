// TailReader: reads one protection group's records above the known VDL, from any member that can.
// Core.
//
// Part of recovery (recovery.h, kReadTail). Members that are fenced and know every truncation are
// witnesses: a read quorum of them bounds what may be durable. One that is damaged is no witness,
// since what it cannot show it may have acknowledged: damaged is not absent. Replies are recognised
// by their contents (the PG chain), so late and repeated ones do no harm.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/log/lsn.h"
#include "common/protocol/storage_messages.h"
#include "common/quorum/quorum.h"
#include "compute-node/volume/tail_analysis.h"

namespace sextant::compute {

class TailReader {
 public:
  explicit TailReader(Lsn known_vdl, quorum::QuorumSets sets = {})
      : sets_(std::move(sets)), known_vdl_(known_vdl), cursor_(known_vdl) {}

  void AddMember(quorum::Slot slot, Lsn scl, bool is_damaged);
  // What the member answered to a read. Progress or not is told by IsDone and NextRead.
  void Read(quorum::Slot slot, const protocol::ReadLogReply& reply);
  // It does not answer: others first.
  void Failed(quorum::Slot slot);
  // DATA_LOSS: it is no witness any more.
  void Damaged(quorum::Slot slot);

  // Everything that a read quorum of witnesses holds is read, and what other witnesses hold above
  // it as well, unless they have ceased to answer.
  bool IsDone() const;
  // There is a read quorum of witnesses.
  bool HasWitnesses() const;
  // Where to read next: (after, through] from `slot`.
  struct NextRead {
    quorum::Slot slot;
    Lsn after;
    Lsn through;
  };
  std::optional<NextRead> Next() const;
  // Read through here so far.
  Lsn cursor() const { return cursor_; }
  PgTail Take();

 private:
  struct Member {
    Lsn scl;
    bool is_witness = true;
    int failures = 0;
  };
  quorum::QuorumSets sets_;
  Lsn known_vdl_;
  Lsn cursor_;
  std::map<quorum::Slot, Member> members_;
  std::vector<log::RecordHeader> headers_;
};

}  // namespace sextant::compute
