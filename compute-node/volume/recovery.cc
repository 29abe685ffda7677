// See recovery.h. The phases and what moves from one to the next; which requests are sent when is
// in recovery_duties.cc.
#include "compute-node/volume/recovery.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {

Recovery::Recovery(VolumeId volume, WriterId writer, std::vector<std::string> nodes,
                   Options options)
    : volume_(volume),
      writer_(writer),
      nodes_(std::move(nodes)),
      options_(options),
      book_(options.retry_interval),
      discovery_(volume, nodes_) {
  SEXTANT_CHECK(options.lal > 0 && options.max_attempts > 0);
}

const std::string& Recovery::NodeOf(MemberAddress member) const {
  SEXTANT_CHECK(IsMember(member));
  return found_.memberships[member.pg.value()].members[member.slot].node;
}

const RecoveredVolume& Recovery::result() const {
  SEXTANT_CHECK(phase_ == Phase::kOpen);
  return *result_;
}

const absl::Status& Recovery::error() const { return error_; }

bool Recovery::IsMember(MemberAddress member) const {
  return member.pg.value() < pg_count() &&
         found_.memberships[member.pg.value()].IsActive(member.slot);
}

std::optional<quorum::Slot> Recovery::SlotOf(const std::string& node, PgId pg) const {
  if (pg.value() >= pg_count()) return std::nullopt;
  return found_.memberships[pg.value()].SlotOf(node);
}

void Recovery::Start(Instant now) { Pursue(now); }

void Recovery::Tick(Instant now) { Pursue(now); }

// --- discover

void Recovery::NodeAnswered(const std::string& node,
                            const absl::StatusOr<protocol::NodeStatus>& reply, Instant now) {
  if (phase_ != Phase::kDiscover || !reply.ok()) return Pursue(now);
  discovery_.Answered(node, *reply);
  if (discovery_.IsComplete()) {
    found_ = discovery_.Result();
    epoch_ = std::max(epoch_, found_.highest_epoch).Next();
    BeginFence();
  }
  Pursue(now);
}

void Recovery::Restart(const std::string& why, Instant now) {
  if (attempts_ == options_.max_attempts) {
    return Fail(absl::FailedPreconditionError(
        Text("another claimant keeps winning volume ", FormatVolumeId(volume_), " after ",
             attempts_, " attempts (", why, "); let it be the writer, or stop it and try again")));
  }
  // Rivals draw different pauses, growing, so that one of them gets through.
  const auto share = static_cast<double>(writer_.value() % 16) / 16;
  quiet_until_ = now + options_.retry_interval * (share * attempts_);
  ++attempts_;
  AskAnew();
}

void Recovery::Rediscover(const volume::Descriptor& larger) {
  known_ = larger;
  AskAnew();
}

void Recovery::AskAnew() {
  phase_ = Phase::kDiscover;
  is_loss_doubted_ = is_tail_loss_doubted_ = false;
  discovery_ = Discovery(volume_, nodes_, known_);
  book_.Clear();
  duties_.clear();
}

void Recovery::Fail(absl::Status error) {
  error_ = std::move(error);
  phase_ = Phase::kFailed;
  duties_.clear();
}

// --- fence

void Recovery::BeginFence() {
  phase_ = Phase::kFence;
  fenced_ = RecoveryQuorum(found_.memberships);
  fenced_statuses_.clear();
  book_.Clear();
  duties_.clear();
}

bool Recovery::IsOurs(MemberAddress member, const protocol::SegmentStatus& status, Instant now) {
  if (status.segment != SegmentId{volume_, member.pg} || status.slot != member.slot ||
      status.epoch < epoch_) {
    return false;
  }
  if (status.epoch == epoch_ && status.writer == writer_) return true;
  Restart(Text("epoch ", status.epoch, " is claimed on ", NodeOf(member)), now);
  return false;
}

void Recovery::EpochRaised(MemberAddress member,
                           const absl::StatusOr<protocol::SegmentStatus>& reply, Instant now) {
  if (phase_ == Phase::kDiscover || phase_ >= Phase::kOpen || !IsMember(member)) return;
  const size_t pg = member.pg.value();
  if (absl::IsFailedPrecondition(reply.status())) {
    Restart(Text("epoch ", epoch_, " refused by ", NodeOf(member)), now);
  } else if (reply.ok() && IsOurs(member, *reply, now)) {
    const bool has_grown =
        member.pg == PgId(0) && reply->descriptor.geometry.epoch > found_.descriptor.geometry.epoch;
    if (has_grown && phase_ == Phase::kFence) {
      // The old writer grew the volume between the questions and the fence, and may have used it.
      // After the fence it cannot any more: a geometry that is met then was never used.
      Rediscover(reply->descriptor);
    } else if (phase_ == Phase::kTruncate) {
      if (reply->truncations == final_truncations_ && reply->membership == final_memberships_[pg]) {
        truncated_.Insert(member);
      }
    } else if (reply->membership.epoch > found_.memberships[pg].epoch &&
               volume::ValidateMembership(reply->membership).ok()) {
      // A change was under way, or over, that no answer had told of: those are the members.
      found_.memberships[pg] = reply->membership;
      BeginFence();
    } else if (reply->truncations == found_.truncations) {
      Fenced(member, *reply);
    } else if (LastTruncationEpoch(reply->truncations) > LastTruncationEpoch(found_.truncations)) {
      // A recovery got further than was known: every member that counts must know what it annulled.
      found_.truncations = reply->truncations;
      BeginFence();
    }
  }
  Advance();
  Pursue(now);
}

void Recovery::Fenced(MemberAddress member, const protocol::SegmentStatus& status) {
  if (fenced_.Contains(member) && phase_ != Phase::kWriteBack) return;
  fenced_.Insert(member);
  fenced_statuses_[member] = status;
  if (phase_ == Phase::kReadTail) {
    // Its log may start above what the others know to be durable: read from there on.
    if (status.known_vdl > known_vdl_) return BeginReadTail();
    tails_[member.pg.value()].AddMember(member.slot, status.scl, status.is_damaged);
  } else if (phase_ == Phase::kWriteBack) {
    write_backs_[member.pg.value()].AddMember(member.slot, status.scl, status.log_start);
  }
}

bool Recovery::IsEveryMemberFenced(PgId pg) const {
  return fenced_.Of(pg) == found_.memberships[pg.value()].Sets().AllSlots();
}

void Recovery::Advance() {
  if (phase_ == Phase::kFence && fenced_.IsWriteQuorum()) BeginReadTail();
  if (phase_ == Phase::kReadTail) AdvanceReadTail();
  if (phase_ == Phase::kWriteBack) AdvanceWriteBack();
  if (phase_ == Phase::kTruncate && truncated_.IsWriteQuorum()) Open();
}

// --- read the tail

void Recovery::BeginReadTail() {
  phase_ = Phase::kReadTail;
  known_vdl_ = Lsn();
  for (const auto& [member, status] : fenced_statuses_) {
    known_vdl_ = std::max(known_vdl_, status.known_vdl);
  }
  tails_.clear();
  for (const volume::Membership& membership : found_.memberships) {
    tails_.emplace_back(known_vdl_, membership.Sets());
  }
  for (const auto& [member, status] : fenced_statuses_) {
    tails_[member.pg.value()].AddMember(member.slot, status.scl, status.is_damaged);
  }
  book_.Clear();
}

void Recovery::LogRead(MemberAddress member, const absl::StatusOr<protocol::ReadLogReply>& reply,
                       Instant now) {
  const bool is_reading = phase_ == Phase::kReadTail || phase_ == Phase::kWriteBack;
  if (!is_reading || !IsMember(member)) return;
  if (absl::IsFailedPrecondition(reply.status())) {
    Restart(Text("epoch ", epoch_, " refused by ", NodeOf(member)), now);
    return Pursue(now);
  }
  const DutyBook::Key key{DutyBook::Kind::kRead, member, {}};
  const size_t pg = member.pg.value();
  if (phase_ == Phase::kReadTail) {
    TailReader& tail = tails_[pg];
    const Lsn before = tail.cursor();
    if (reply.ok()) {
      tail.Read(member.slot, *reply);
    } else if (absl::IsDataLoss(reply.status())) {
      tail.Damaged(member.slot);
    } else {
      tail.Failed(member.slot);
    }
    if (tail.cursor() > before) book_.Answered(key);
  } else {
    WriteBack& write_back = write_backs_[pg];
    if (reply.ok() && write_back.Read(*reply)) {
      book_.Answered(key);
    } else if (absl::IsDataLoss(reply.status())) {
      write_back.SourceDamaged(member.slot);
    } else if (absl::IsOutOfRange(reply.status())) {
      write_back.SourceCollected(member.slot);
      book_.Answered(key);
    } else {
      write_back.SourceFailed(member.slot);
    }
  }
  Advance();
  Pursue(now);
}

void Recovery::AdvanceReadTail() {
  bool is_done = true;
  for (size_t i = 0; i < tails_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    if (tails_[i].IsDone()) continue;
    is_done = false;
    if (tails_[i].HasWitnesses() || !IsEveryMemberFenced(pg)) continue;
    // Some of the answers may be long past, and their members healed by their peers since: a loss
    // is reported only when all that were asked anew say the same.
    if (!std::exchange(is_loss_doubted_, true)) return BeginFence();
    return Fail(absl::DataLossError(
        Text("pg ", pg, ": fewer than ", quorum::kReadQuorum,
             " members are undamaged, so records above LSN ", tails_[i].cursor(),
             " that were acknowledged may exist only damaged; restore or replace members")));
  }
  if (is_done) BeginWriteBack();
}

// --- write back

void Recovery::BeginWriteBack() {
  phase_ = Phase::kWriteBack;
  std::vector<PgTail> tails;
  for (TailReader& reader : tails_) tails.push_back(reader.Take());
  tails_.clear();
  analysis_ = AnalyzeTail(known_vdl_, tails);
  write_backs_.clear();
  for (size_t i = 0; i < pg_count(); ++i) {
    write_backs_.emplace_back(analysis_.at_vdl[i],
                              log::BatchHeader{.volume = volume_,
                                               .pg = PgId(static_cast<uint32_t>(i)),
                                               .epoch = epoch_,
                                               .membership = found_.memberships[i].epoch,
                                               .vdl = known_vdl_,
                                               .pg_lsn_at_vdl = analysis_.at_known_vdl[i]},
                              found_.memberships[i].Sets());
  }
  for (const auto& [member, status] : fenced_statuses_) {
    write_backs_[member.pg.value()].AddMember(member.slot, status.scl, status.log_start);
  }
  book_.Clear();
}

// Of the segment that answered the claim, not of one that was there before it.
bool Recovery::IsWordOf(MemberAddress member, IncarnationId incarnation) const {
  const auto fenced = fenced_statuses_.find(member);
  return fenced != fenced_statuses_.end() && fenced->second.incarnation == incarnation;
}

void Recovery::BatchAcked(MemberAddress member, const protocol::AppendAck& ack, Instant now) {
  if (phase_ != Phase::kWriteBack || !IsMember(member)) return;
  if (ack.epoch > epoch_) {
    Restart(Text("epoch ", ack.epoch, " is claimed on ", NodeOf(member)), now);
  } else if (ack.status.ok() && ack.epoch == epoch_ && IsWordOf(member, ack.incarnation)) {
    WriteBack& write_back = write_backs_[member.pg.value()];
    write_back.Acked(member.slot, ack.scl);
    // Who is left to its peers is told again in a while, not at once.
    if (!write_back.under_way().contains(member.slot) && !write_back.IsLeftToPeers(member.slot)) {
      book_.Answered({DutyBook::Kind::kSend, member, {}});
    }
  }
  Advance();
  Pursue(now);
}

void Recovery::AdvanceWriteBack() {
  bool is_done = true;
  for (size_t i = 0; i < write_backs_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    if (write_backs_[i].IsDone()) continue;
    is_done = false;
    // Nothing of the tail was called durable yet. What nobody can show any more is left out if a
    // read quorum does without it, else it waits for the one that has it (simulator, seed 1015126).
    if (write_backs_[i].IsForsaken()) return BeginFence();
    if (!write_backs_[i].IsStuck() || !IsEveryMemberFenced(pg)) continue;
    // As above: whoever could not read a record then may hold it again.
    if (!std::exchange(is_tail_loss_doubted_, true)) return BeginFence();
    return Fail(
        absl::DataLossError(Text("pg ", pg, ": records after LSN ", write_backs_[i].stuck_after(),
                                 " through ", write_backs_[i].target(),
                                 " are found only damaged; restore a member that has them whole")));
  }
  if (is_done) BeginTruncate();
}

// --- truncate and open

void Recovery::BeginTruncate() {
  phase_ = Phase::kTruncate;
  Lsn reached = analysis_.vdl;  // as far as LSNs are durable or annulled: LAL counts from there
  for (const volume::Truncation& t : found_.truncations) reached = std::max(reached, t.upper);
  final_truncations_ = found_.truncations;
  final_truncations_.push_back(
      {.epoch = epoch_, .vdl = analysis_.vdl, .upper = reached + options_.lal});
  final_memberships_.clear();
  for (const volume::Membership& membership : found_.memberships) {
    final_memberships_.push_back(volume::TakenOver(membership, epoch_));
  }
  truncated_ = RecoveryQuorum(final_memberships_);
  book_.Clear();
}

void Recovery::Open() {
  phase_ = Phase::kOpen;
  Lsn pgmrpl;
  for (const auto& [member, status] : fenced_statuses_) pgmrpl = std::max(pgmrpl, status.pgmrpl);
  result_ = RecoveredVolume{.descriptor = found_.descriptor,
                            .memberships = final_memberships_,
                            .epoch = epoch_,
                            .writer = writer_,
                            .truncations = final_truncations_,
                            .vdl = analysis_.vdl,
                            .pgmrpl = std::min(pgmrpl, analysis_.vdl),
                            .next_lsn = final_truncations_.back().upper.Next(),
                            .lal = options_.lal,
                            .pg_tails = analysis_.at_vdl};
  duties_.clear();
}

}  // namespace sextant::compute
