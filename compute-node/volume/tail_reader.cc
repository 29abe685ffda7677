// See tail_reader.h.
#include "compute-node/volume/tail_reader.h"

#include <algorithm>
#include <utility>

namespace sextant::compute {
namespace {

// Reads in vain before a member that holds more is done without, if others are a read quorum.
constexpr int kMaxFailures = 3;

}  // namespace

void TailReader::AddMember(quorum::Slot slot, Lsn scl, bool is_damaged) {
  members_.try_emplace(slot, Member{.scl = scl, .is_witness = !is_damaged});
}

void TailReader::Read(quorum::Slot slot, const protocol::ReadLogReply& reply) {
  const Lsn before = cursor_;
  for (const log::RedoRecord& record : reply.records) {
    const log::RecordHeader& header = record.header;
    if (header.lsn <= cursor_) continue;
    const bool is_next =
        headers_.empty() ? header.prev_pg_lsn <= known_vdl_ : header.prev_pg_lsn == cursor_;
    if (!is_next) break;
    headers_.push_back(header);
    cursor_ = header.lsn;
  }
  if (cursor_ == before) Failed(slot);
}

void TailReader::Failed(quorum::Slot slot) {
  if (const auto it = members_.find(slot); it != members_.end()) ++it->second.failures;
}

void TailReader::Damaged(quorum::Slot slot) {
  if (const auto it = members_.find(slot); it != members_.end()) it->second.is_witness = false;
}

bool TailReader::HasWitnesses() const {
  quorum::SlotSet witnesses;
  for (const auto& [slot, member] : members_) {
    if (member.is_witness) witnesses.Insert(slot);
  }
  return sets_.IsReadQuorum(witnesses);
}

bool TailReader::IsDone() const {
  quorum::SlotSet read;
  for (const auto& [slot, member] : members_) {
    if (!member.is_witness) continue;
    if (member.scl <= cursor_) {
      read.Insert(slot);
    } else if (member.failures < kMaxFailures) {
      return false;
    }
  }
  return sets_.IsReadQuorum(read);
}

std::optional<TailReader::NextRead> TailReader::Next() const {
  // Of those that hold more, the one that failed least; of equals the one that holds most.
  std::optional<std::pair<quorum::Slot, Member>> best;
  for (const auto& [slot, member] : members_) {
    if (!member.is_witness || member.scl <= cursor_) continue;
    if (!best.has_value() || member.failures < best->second.failures ||
        (member.failures == best->second.failures && member.scl > best->second.scl)) {
      best = {slot, member};
    }
  }
  if (!best.has_value()) return std::nullopt;
  return NextRead{best->first, cursor_, best->second.scl};
}

PgTail TailReader::Take() {
  Lsn scl = cursor_;
  if (headers_.empty()) {  // nothing above the known VDL: the last at or below it
    scl = Lsn();
    for (const auto& [slot, member] : members_) {
      if (member.is_witness && member.scl <= cursor_) scl = std::max(scl, member.scl);
    }
  }
  return {scl, std::move(headers_)};
}

}  // namespace sextant::compute
