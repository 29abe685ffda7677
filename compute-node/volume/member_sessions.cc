// See member_sessions.h.
#include "compute-node/volume/member_sessions.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::compute {
namespace {

// A node that lost its disk may be there for hours, and lack the segments of every group.
constexpr int kAbsentIntervals = 5;

}  // namespace

MemberSessions::MemberSessions(Claim claim, absl::Duration retry_interval)
    : claim_(std::move(claim)), retry_interval_(retry_interval) {
  SEXTANT_CHECK(retry_interval > absl::ZeroDuration());
}

void MemberSessions::SetMembership(PgId pg, MembershipEpoch epoch) {
  memberships_[pg.value()] = epoch;
}

void MemberSessions::Reset(MemberAddress member) { At(member) = {}; }

MemberSessions::Verdict MemberSessions::Judge(MemberAddress member,
                                              const protocol::SegmentStatus& status) {
  Session& session = At(member);
  if (status.segment != SegmentId{claim_.volume, member.pg} || status.slot != member.slot) {
    session.state = MemberState::kDamaged;
    return Verdict::kUnusable;
  }
  if (status.epoch > claim_.epoch) return Verdict::kFenced;
  if (!session.incarnation.has_value()) session.incarnation = status.incarnation;
  if (*session.incarnation != status.incarnation) {
    session.state = MemberState::kDamaged;
    return Verdict::kUnusable;
  }
  if (status.epoch == claim_.epoch && status.writer == claim_.writer &&
      status.truncations == claim_.truncations &&
      status.membership.epoch >= memberships_[member.pg.value()]) {
    session.state = MemberState::kStreaming;
    return Verdict::kStream;
  }
  session.state = MemberState::kRaisingEpoch;
  return Verdict::kRaiseEpoch;
}

MemberSessions::Verdict MemberSessions::Up(MemberAddress member,
                                           const protocol::SegmentStatus& status) {
  At(member).retry_at = Instant::Max();
  return Judge(member, status);
}

MemberSessions::Verdict MemberSessions::EpochRaised(
    MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply, Instant now) {
  Session& session = At(member);
  if (session.state != MemberState::kRaisingEpoch) return Verdict::kIgnore;
  const Verdict verdict = reply.ok() ? Judge(member, *reply) : Verdict::kRaiseEpoch;
  if (verdict != Verdict::kRaiseEpoch) return verdict;
  // Refused or unanswered. A refusal may come from a rival claim on this same epoch, which lost the
  // write quorum to this writer: no reason to stop.
  const bool is_absent = absl::IsNotFound(reply.status());
  session.retry_at = now + (is_absent ? kAbsentIntervals : 1) * retry_interval_;
  return Verdict::kRetryLater;
}

void MemberSessions::Down(MemberAddress member) {
  At(member).state = MemberState::kDown;
  At(member).retry_at = Instant::Max();
}

void MemberSessions::NeedsClaim(MemberAddress member) {
  At(member).state = MemberState::kRaisingEpoch;
  At(member).retry_at = Instant::Max();
}

void MemberSessions::NeedsClaimLater(MemberAddress member, Instant now) {
  At(member).state = MemberState::kRaisingEpoch;
  At(member).retry_at = now + retry_interval_;
}

void MemberSessions::NoSpace(MemberAddress member, Instant now) {
  // Every batch that was on its way is refused: the first refusal sets the time.
  At(member).state = MemberState::kNoSpace;
  At(member).retry_at = std::min(At(member).retry_at, now + retry_interval_);
}

void MemberSessions::Damaged(MemberAddress member, Instant now) {
  At(member).retry_at = std::min(At(member).retry_at, now + retry_interval_ / 10);
}

void MemberSessions::Gone(MemberAddress member) {
  At(member).state = MemberState::kDamaged;
  At(member).retry_at = Instant::Max();
}

void MemberSessions::Accepted(MemberAddress member) { At(member).state = MemberState::kStreaming; }

std::vector<MemberAddress> MemberSessions::TakeDue(Instant now) {
  std::vector<MemberAddress> due;
  for (size_t pg = 0; pg < groups_.size(); ++pg) {
    for (size_t slot = 0; slot < groups_[pg].size(); ++slot) {
      Session& session = groups_[pg][slot];
      if (session.retry_at > now) continue;
      session.retry_at = Instant::Max();
      due.push_back({PgId(static_cast<uint32_t>(pg)), static_cast<quorum::Slot>(slot)});
    }
  }
  return due;
}

bool MemberSessions::IsUp(MemberAddress member) const {
  const MemberState state = At(member).state;
  return state == MemberState::kStreaming || state == MemberState::kNoSpace;
}

}  // namespace sextant::compute
