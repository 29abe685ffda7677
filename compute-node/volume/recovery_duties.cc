// The part of Recovery (recovery.h) that says what is to be asked of whom, and describes the wait.
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/text.h"
#include "compute-node/volume/recovery.h"

namespace sextant::compute {

std::vector<Recovery::Duty> Recovery::TakeDuties() { return std::exchange(duties_, {}); }

void Recovery::Pursue(Instant now) {
  switch (phase_) {
    case Phase::kDiscover:
      return PursueNodes(now);
    case Phase::kFence:
      return PursueEpoch(fenced_, found_.truncations, found_.memberships, now);
    case Phase::kReadTail:
      // Members that were away may be needed yet: as witnesses, as sources, for the quorums.
      PursueEpoch(fenced_, found_.truncations, found_.memberships, now);
      return PursueReads(now);
    case Phase::kWriteBack:
      PursueEpoch(WithoutLeftToPeers(fenced_), found_.truncations, found_.memberships, now);
      return PursueWriteBack(now);
    case Phase::kTruncate:
      return PursueEpoch(truncated_, final_truncations_, final_memberships_, now);
    case Phase::kOpen:
    case Phase::kFailed:
      return;
  }
}

// Those are asked again and again how far they have come.
RecoveryQuorum Recovery::WithoutLeftToPeers(const RecoveryQuorum& fenced) const {
  RecoveryQuorum others(found_.memberships);
  for (const auto& [member, status] : fenced_statuses_) {
    const WriteBack& write_back = write_backs_[member.pg.value()];
    if (fenced.Contains(member) && !write_back.IsLeftToPeers(member.slot)) others.Insert(member);
  }
  return others;
}

void Recovery::PursueNodes(Instant now) {
  if (now < quiet_until_) return;
  for (const std::string& node : nodes_) {
    if (book_.Issue({DutyBook::Kind::kAsk, {}, node}, now))
      duties_.emplace_back(std::in_place_type<AskNode>, AskNode{node});
  }
}

void Recovery::PursueEpoch(const RecoveryQuorum& done,
                           const std::vector<volume::Truncation>& truncations,
                           const std::vector<volume::Membership>& memberships, Instant now) {
  for (size_t i = 0; i < pg_count(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    for (const quorum::Slot slot : memberships[i].ActiveSlots()) {
      const MemberAddress member{pg, slot};
      if (done.Contains(member)) continue;
      if (!book_.Issue({DutyBook::Kind::kRaise, member, {}}, now)) continue;
      duties_.emplace_back(std::in_place_type<RaiseEpoch>,
                           RaiseEpoch{member,
                                      {.segment = {volume_, pg},
                                       .epoch = epoch_,
                                       .writer = writer_,
                                       .truncations = truncations,
                                       .descriptor = found_.descriptor,
                                       .membership = memberships[i]}});
    }
  }
}

void Recovery::IssueRead(MemberAddress member, Lsn after, Lsn through, Instant now) {
  if (!book_.Issue({DutyBook::Kind::kRead, member, {}}, now)) return;
  duties_.emplace_back(
      std::in_place_type<ReadLog>,
      ReadLog{
          member,
          {.segment = {volume_, member.pg}, .epoch = epoch_, .after = after, .through = through}});
}

void Recovery::PursueReads(Instant now) {
  for (size_t i = 0; i < tails_.size(); ++i) {
    if (tails_[i].IsDone()) continue;
    if (const auto next = tails_[i].Next(); next.has_value()) {
      IssueRead({PgId(static_cast<uint32_t>(i)), next->slot}, next->after, next->through, now);
    }
  }
}

void Recovery::PursueWriteBack(Instant now) {
  for (size_t i = 0; i < write_backs_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    if (write_backs_[i].IsDone()) continue;
    if (const auto next = write_backs_[i].Next(); next.has_value()) {
      IssueRead({pg, next->slot}, next->after, next->through, now);
    }
    for (const auto& [slot, batches] : write_backs_[i].under_way()) {
      const MemberAddress member{pg, slot};
      if (!book_.Issue({DutyBook::Kind::kSend, member, {}}, now)) continue;
      for (const log::EncodedBatch& batch : batches) {
        duties_.emplace_back(std::in_place_type<SendBatch>, SendBatch{member, batch});
      }
    }
    TellLeftToPeers(pg, now);
  }
}

// They rebuild themselves once they know of what they lack.
void Recovery::TellLeftToPeers(PgId pg, Instant now) {
  const WriteBack& write_back = write_backs_[pg.value()];
  for (const auto& [member, status] : fenced_statuses_) {
    if (member.pg != pg || !write_back.IsLeftToPeers(member.slot)) continue;
    if (!book_.Issue({DutyBook::Kind::kSend, member, {}}, now)) continue;
    duties_.emplace_back(std::in_place_type<SendBatch>, SendBatch{member, write_back.Heartbeat()});
  }
}

namespace {

// "fence: 3 of 4 members of pg 0; az3-a, az3-b silent", of the first group that is short.
std::string DescribeQuorum(std::string_view what, const RecoveryQuorum& done, VolumeEpoch epoch,
                           const std::vector<volume::Membership>& memberships) {
  for (size_t i = 0; i < memberships.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    const quorum::SlotSet slots = done.Of(pg);
    if (done.IsWriteQuorum(pg)) continue;
    std::vector<std::string> missing;
    for (const quorum::Slot slot : memberships[i].ActiveSlots()) {
      if (!slots.Contains(slot)) missing.push_back(memberships[i].members[slot].node);
    }
    return Text(what, " at epoch ", epoch, ": ", slots.size(), " of ", quorum::kWriteQuorum,
                " members of pg ", pg, "; ", absl::StrJoin(missing, ", "), " silent");
  }
  return Text(what, " at epoch ", epoch, ": complete");
}

}  // namespace

std::string Recovery::Describe() const {
  switch (phase_) {
    case Phase::kDiscover:
      return Text("discover: ", discovery_.Describe());
    case Phase::kFence:
      return DescribeQuorum("fence", fenced_, epoch_, found_.memberships);
    case Phase::kReadTail:
      for (size_t i = 0; i < tails_.size(); ++i) {
        if (tails_[i].IsDone()) continue;
        return Text("read the tail: pg ", i, " read through LSN ", tails_[i].cursor(),
                    tails_[i].HasWitnesses()
                        ? std::string()
                        : Text("; waits for ", quorum::kReadQuorum, " undamaged members"));
      }
      return "read the tail: complete";
    case Phase::kWriteBack:
      for (size_t i = 0; i < write_backs_.size(); ++i) {
        if (write_backs_[i].IsDone()) continue;
        return Text("write back: pg ", i, " to a write quorum through LSN ",
                    write_backs_[i].target());
      }
      return "write back: complete";
    case Phase::kTruncate:
      return DescribeQuorum("truncate", truncated_, epoch_, found_.memberships);
    case Phase::kOpen:
      return Text("open at epoch ", epoch_, ", VDL ", analysis_.vdl);
    case Phase::kFailed:
      return Text("failed: ", error_.message());
  }
  return "unknown phase";
}

}  // namespace sextant::compute
