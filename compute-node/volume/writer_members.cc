// The part of Writer (writer.h) that deals with members: streams, refusals, and their picture.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "compute-node/volume/writer.h"

namespace sextant::compute {

void Writer::MemberUp(MemberAddress member, const protocol::SegmentStatus& status) {
  if (is_fenced_ || NodeAt(member).empty()) return;
  Obey(member, sessions_.Up(member, status), &status);
  Told(member, status);
}

void Writer::MemberDown(MemberAddress member) {
  if (NodeAt(member).empty()) return;
  sessions_.Down(member);
  shipper_.Stop(member);
}

void Writer::EpochRaised(MemberAddress member,
                         const absl::StatusOr<protocol::SegmentStatus>& reply) {
  if (is_fenced_) return;
  growth_.EpochRaised(member, reply, volume_);
  if (!NodeAt(member).empty()) {
    Obey(member, sessions_.EpochRaised(member, reply, now_), reply.ok() ? &*reply : nullptr);
    if (reply.ok()) Told(member, *reply);
  }
  PursueGrowth();
}

void Writer::Obey(MemberAddress member, MemberSessions::Verdict verdict,
                  const protocol::SegmentStatus* status) {
  if (status != nullptr) HearOfGroups(member, *status);
  // However it came to be known: by its stream, or by an answer to a claim.
  if (sessions_.WasSeen(member)) growth_.Found(member);
  switch (verdict) {
    case MemberSessions::Verdict::kIgnore:
      return;
    case MemberSessions::Verdict::kStream:
      return Stream(member, status->scl);
    case MemberSessions::Verdict::kRaiseEpoch:
      return RaiseEpochOf(member);
    case MemberSessions::Verdict::kRetryLater:
      return shipper_.Stop(member);
    case MemberSessions::Verdict::kUnusable:
      return LoseMember(member);
    case MemberSessions::Verdict::kFenced:
      return Fence();
  }
}

void Writer::Stream(MemberAddress member, Lsn scl) {
  if (scl > buffer_.last_sealed(member.pg)) return LoseMember(member);  // never sent: not ours
  acks_[member.pg.value()].Connected(member.slot, scl);
  shipper_.Start(member, scl);
  last_sent_[member.pg.value()].is_owed = true;
  if (member.pg == kGuardPg) guard_.AskAgain(member.slot);
  membership_duties_[member.pg.value()].tell_at = now_;
  CountScl(member, scl);
  UndoReplacementByItself(member);
}

// Its node was to replace itself because the segment was lost, and has it after all: made by a
// request that had been under way, or back with its disk. It holds no second one beside that.
void Writer::UndoReplacementByItself(MemberAddress member) {
  MembershipChanger& changer = changers_[member.pg.value()];
  const volume::Membership& newest = changer.newest();
  const auto change = std::ranges::find(newest.changes, member.slot, &volume::MemberChange::from);
  if (change == newest.changes.end()) return;
  const std::string& node = newest.members[member.slot].node;
  if (newest.members[change->to].node == node) (void)changer.Undo(node);
}

void Writer::RaiseEpochOf(MemberAddress member) {
  shipper_.Stop(member);
  SendClaim(member);
}

void Writer::SendClaim(MemberAddress member) {
  output_.raise_epochs.push_back(
      {member,
       NodeAt(member),
       {.segment = {volume_.descriptor.volume, member.pg},
        .epoch = volume_.epoch,
        .writer = volume_.writer,
        .truncations = volume_.truncations,
        .descriptor = volume_.descriptor,
        .membership = changers_[member.pg.value()].ToTell(member.slot)}});
}

void Writer::LoseMember(MemberAddress member) {
  sessions_.Gone(member);
  shipper_.Abandon(member);
  acks_[member.pg.value()].Discount(member.slot);
  // A candidate that is never counted again: its change can only be undone.
  MembershipChanger& changer = changers_[member.pg.value()];
  const volume::Membership& newest = changer.newest();
  const auto change = std::ranges::find(newest.changes, member.slot, &volume::MemberChange::to);
  if (change != newest.changes.end()) (void)changer.Undo(newest.members[change->from].node);
}

void Writer::Acked(MemberAddress member, const protocol::AppendAck& ack) {
  if (is_fenced_ || NodeAt(member).empty() || !sessions_.IsUp(member)) return;
  if (ack.epoch > volume_.epoch) return Fence();
  const bool is_absent = ack.incarnation == IncarnationId() && !ack.status.ok();
  if (!is_absent && !sessions_.IsWordOf(member, ack.incarnation)) return;
  if (!ack.status.ok()) return Refused(member, ack);
  if (ack.epoch == volume_.epoch) AckedOk(member, ack.scl);
}

void Writer::AckedOk(MemberAddress member, Lsn scl) {
  if (scl > buffer_.last_sealed(member.pg)) return LoseMember(member);
  sessions_.Accepted(member);
  shipper_.Acked(member, scl);
  CountScl(member, scl);
}

void Writer::Refused(MemberAddress member, const protocol::AppendAck& ack) {
  switch (ack.status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      // Behind in the epoch, or in the membership that batches go by: it has but to be told.
      if (ack.epoch < volume_.epoch || !changers_[member.pg.value()].IsTold(member.slot)) {
        sessions_.NeedsClaim(member);
        return RaiseEpochOf(member);
      }
      // Refused within the same epoch: the reply to another claim will say why.
      sessions_.NeedsClaimLater(member, now_);
      return shipper_.Stop(member);
    case absl::StatusCode::kDataLoss:
      sessions_.Damaged(member, now_);
      return shipper_.Stop(member);
    case absl::StatusCode::kNotFound:
      return LoseMember(member);
    default:
      sessions_.NoSpace(member, now_);
      return shipper_.Stop(member);
  }
}

MemberProgress Writer::Member(MemberAddress member) const {
  const AckTracker& acks = acks_[member.pg.value()];
  const bool is_counted = acks.IsCounted(member.slot);
  MemberState state = sessions_.state(member);
  if (state == MemberState::kStreaming) {
    if (shipper_.IsBehind(member)) state = MemberState::kBehind;
    if (!is_counted) state = MemberState::kDamaged;
  }
  return {state, is_counted ? acks.scl(member.slot) : shipper_.scl(member)};
}

uint64_t WriterProgress::Lag(Lsn scl, Lsn last_lsn) const {
  if (scl >= last_lsn) return 0;
  const uint64_t distance = last_lsn - scl;
  const bool spans_gap = scl <= opened_at && last_lsn >= first_lsn;
  return spans_gap ? distance - (first_lsn - opened_at - 1) : distance;
}

WriterProgress Writer::Progress() const {
  WriterProgress progress{.head = head_,
                          .vcl = durability_.vcl(),
                          .vdl = vdl(),
                          .pgmrpl = read_points_.pgmrpl(),
                          .opened_at = volume_.vdl,
                          .first_lsn = volume_.next_lsn,
                          .epoch = volume_.epoch,
                          .unacked_bytes = buffer_.unacked_bytes(),
                          .retained_bytes = shipper_.retained_bytes(),
                          .waits = commits_.size(),
                          .is_fenced = is_fenced_,
                          .growth = growth_.Describe(),
                          .missing_members = growth_.missing_members()};
  for (size_t i = 0; i < acks_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    PgProgress& group = progress.pgs.emplace_back();
    group.last_lsn = buffer_.last_lsn(pg);
    group.pgcl = acks_[i].pgcl();
    group.membership = changers_[i].newest();
    group.is_in_effect = changers_[i].IsInEffect();
    for (size_t slot = 0; slot < group.membership.members.size(); ++slot) {
      group.members.push_back(Member({pg, static_cast<quorum::Slot>(slot)}));
    }
    group.changes = Changes(pg);
  }
  return progress;
}

const WriterCounters& Writer::counters() const { return counters_; }

}  // namespace sextant::compute
