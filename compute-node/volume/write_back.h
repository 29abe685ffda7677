// WriteBack: brings one protection group's surviving tail onto a write quorum. Core.
//
// Part of recovery (recovery.h, kWriteBack): a record that VDL will cover may be on fewer than four
// members, and must be on four before VDL is published. Members that lack records are sent them as
// batches of the new epoch, in order, one chunk at a time, read from members that hold them. The
// batches' headers carry the old known VDL only. Records are recognised by the PG chain, so late
// and repeated replies do no harm.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/log/batch.h"
#include "common/log/lsn.h"
#include "common/protocol/storage_messages.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {

class WriteBack {
 public:
  // `header`: of the batches to send, all but what describes the records.
  WriteBack(Lsn target, log::BatchHeader header, quorum::QuorumSets sets = {})
      : sets_(std::move(sets)), target_(target), header_(header) {}

  // Or what is newly known of it: a member that its peers rebuild from pages has a higher SCL by
  // and by. Its log above `log_start` can be read.
  void AddMember(quorum::Slot slot, Lsn scl, Lsn log_start = {});
  void Acked(quorum::Slot slot, Lsn scl);
  // Records from a member's log. False: of no use to anybody now.
  bool Read(const protocol::ReadLogReply& reply);
  void SourceFailed(quorum::Slot slot);
  // DATA_LOSS from `slot` for a read that Next asked for.
  void SourceDamaged(quorum::Slot slot);
  // OUT_OF_RANGE from `slot` for a read that Next asked for: its log starts later by now.
  void SourceCollected(quorum::Slot slot);
  // It lacks records that are in its peers' pages only, so that nobody can send them: it waits to
  // be rebuilt by its peers.
  bool IsLeftToPeers(quorum::Slot slot) const;
  // A batch without records, which tells such a member how far the volume is durable: else it would
  // not know that it lacks anything.
  log::EncodedBatch Heartbeat() const;

  // A write quorum holds everything through the target.
  bool IsDone() const;
  // Where to read next: (after, through] from `slot`; nothing while every member that lacks records
  // has a chunk under way, or nobody can help.
  struct NextRead {
    quorum::Slot slot;
    Lsn after;
    Lsn through;
  };
  std::optional<NextRead> Next() const;
  // A write quorum cannot be reached with these members: what is needed is damaged wherever it is.
  bool IsStuck() const;
  // Who is to be read next has failed again and again since a read was last of use: it may be gone
  // with what it alone held, and then the members that are left must say anew what there is.
  bool IsForsaken() const;
  // Lowest LSN after which a record could not be read.
  Lsn stuck_after() const;

  // Batches under way, by member: to be sent, and sent again while not acknowledged.
  const std::map<quorum::Slot, std::vector<log::EncodedBatch>>& under_way() const {
    return under_way_;
  }
  Lsn target() const { return target_; }

 private:
  struct Member {
    Lsn scl;
    Lsn log_start;
    int failures = 0;               // as a source
    int in_vain = 0;                // of them, since a read was last of use
    std::optional<Lsn> damaged_at;  // as a source: reads after this LSN or a lower one fail
  };
  std::optional<quorum::Slot> SourceFor(Lsn after) const;
  std::vector<log::EncodedBatch> Encode(std::span<const log::RedoRecord> records) const;

  quorum::QuorumSets sets_;
  Lsn target_;
  log::BatchHeader header_;
  std::map<quorum::Slot, Member> members_;
  std::map<quorum::Slot, std::vector<log::EncodedBatch>> under_way_;
};

}  // namespace sextant::compute
