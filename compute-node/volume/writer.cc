// See writer.h. Appending and acknowledgements; members coming and going are in writer_members.cc.
#include "compute-node/volume/writer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::compute {
namespace {

// A member that owes acknowledgements and whose SCL stands still for so many retry intervals is
// sent the first of its batches again.
constexpr int kSilentRounds = 3;

absl::Status FencedError(VolumeEpoch epoch) {
  return absl::FailedPreconditionError(
      Text("fenced: another writer has opened the volume after epoch ", epoch,
           "; this node is no longer the writer, find the new one"));
}

}  // namespace

Writer::Writer(RecoveredVolume volume, WriterOptions options)
    : volume_(std::move(volume)),
      recovered_groups_(volume_.descriptor.geometry.pg_count),
      options_(options),
      lsns_(volume_.next_lsn, volume_.lal),
      buffer_(volume_.descriptor, volume_.epoch, volume_.vdl, volume_.pg_tails,
              {.max_batches_in_flight = options.max_batches_in_flight,
               .min_overlap_bytes = options.min_overlap_bytes,
               .max_batch_bytes = options.max_batch_bytes}),
      shipper_({.max_retained_bytes = options.max_retained_bytes,
                .max_member_unacked_bytes = options.max_member_unacked_bytes}),
      growth_(options.growth),
      sessions_({.volume = volume_.descriptor.volume,
                 .epoch = volume_.epoch,
                 .writer = volume_.writer,
                 .truncations = volume_.truncations},
                options.retry_interval),
      durability_(volume_.vdl, volume_.pg_tails),
      commits_(options.max_waits),
      guard_(volume_.epoch, volume_.memberships[kGuardPg.value()].Sets(), options.max_waits),
      read_points_(volume_.vdl, volume_.pgmrpl),
      head_tails_(volume_.pg_tails),
      durable_tails_(volume_.pg_tails),
      head_(volume_.vdl) {
  SEXTANT_CHECK(volume_.pg_tails.size() == volume_.descriptor.geometry.pg_count);
  SEXTANT_CHECK(volume_.memberships.size() == volume_.pg_tails.size());
  SEXTANT_CHECK(volume_.next_lsn > volume_.vdl);
  for (size_t i = 0; i < volume_.pg_tails.size(); ++i) {
    AddGroup(volume_.memberships[i], volume_.pg_tails[i]);
  }
}

absl::Status Writer::CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages) {
  if (is_fenced_) return FencedError(volume_.epoch);
  if (bytes > options_.max_mtr_bytes) {
    return absl::InvalidArgumentError(Text("a mini-transaction of ", bytes,
                                           " bytes of redo; at most ", options_.max_mtr_bytes,
                                           " are possible: split the transaction"));
  }
  if (!pages.empty()) {
    const PageNo last = *std::ranges::max_element(pages);
    if (absl::Status room = growth_.Check(last, geometry()); !room.ok()) {
      if (absl::IsResourceExhausted(room)) growth_.Want(last, geometry());
      PursueGrowth();
      return room;
    }
  }
  if (buffer_.unacked_bytes() >= options_.max_unacked_bytes) {
    return absl::ResourceExhaustedError(
        Text(buffer_.unacked_bytes(), " bytes of redo wait for their write quorum, ",
             options_.max_unacked_bytes, " may; retry when segments have caught up"));
  }
  return lsns_.Check(std::max<uint64_t>(pages.size(), 1), vdl());
}

Writer::Appended Writer::Append(const std::vector<page::PageChange>& changes) {
  SEXTANT_CHECK(!is_fenced_ && !changes.empty());
  const Lsn first = lsns_.Allocate(changes.size(), vdl());
  const PgRuns runs = buffer_.Append(changes, first);
  head_ = first + (changes.size() - 1);
  durability_.Append(runs);
  // A group may have several runs: its last is what counts.
  for (const PgRun& run : runs) {
    head_tails_.Advance(run.pg, run.last);
    if (appended_.empty() || appended_.back() != run.pg) appended_.push_back(run.pg);
  }
  const PageNo last = std::ranges::max_element(changes, {}, &page::PageChange::page)->page;
  if (growth_.Written(last, geometry())) PursueGrowth();
  ++counters_.mtrs;
  counters_.records += changes.size();
  counters_.redo_bytes = buffer_.encoded_bytes();
  return {first, head_};
}

log::BatchHeader Writer::HeaderOf(PgId pg) const {
  return {.epoch = volume_.epoch,
          .membership = changers_[pg.value()].in_effect().epoch,
          .vdl = vdl(),
          .pg_lsn_at_vdl = durable_tails_.Get(pg),
          .pgmrpl = read_points_.pgmrpl(),
          .held_by_all = held_by_all_[pg.value()].lsn()};
}

void Writer::SealReady(PgId pg) {
  while (buffer_.MaySeal(pg)) {
    const log::BatchHeader header = HeaderOf(pg);
    shipper_.Push(pg, buffer_.Seal(pg, header));
    last_sent_[pg.value()].vdl = header.vdl;
    last_sent_[pg.value()].pgmrpl = header.pgmrpl;
    last_sent_[pg.value()].held_by_all = header.held_by_all;
    last_sent_[pg.value()].at = now_;
    ++counters_.batches;
  }
}

void Writer::CountScl(MemberAddress member, Lsn scl) {
  if (acks_[member.pg.value()].Acked(member.slot, scl)) PgclRose(member.pg);
  if (!changers_[member.pg.value()].IsAtRest()) AdvanceMembership(member.pg);
}

void Writer::PgclRose(PgId pg) {
  const Lsn pgcl = acks_[pg.value()].pgcl();
  buffer_.QuorumReached(pg, pgcl);
  shipper_.PgclRose(pg, pgcl);
  passed_.clear();
  durability_.PgclRose(pg, pgcl, &passed_);
  SEXTANT_CHECK(vdl() <= durability_.vcl() && durability_.vcl() <= head_);
  if (!passed_.empty()) {
    for (const PgRun& run : passed_) durable_tails_.Advance(run.pg, run.last);
    read_points_.VdlRose(vdl());
    commits_.ReleaseThrough(vdl(), &output_.releases);
  }
  SealReady(pg);
}

void Writer::WaitDurable(Lsn lsn, WaitToken wait, Instant deadline) {
  if (lsn <= vdl()) {
    output_.releases.push_back({wait, absl::OkStatus()});
    return;
  }
  absl::Status parked = is_fenced_ ? absl::FailedPreconditionError(Text(
                                         "outcome unknown: ", FencedError(volume_.epoch).message()))
                                   : commits_.Park(lsn, wait, deadline);
  if (!parked.ok()) output_.releases.push_back({wait, std::move(parked)});
}

void Writer::WhenCurrent(WaitToken wait, Instant deadline) {
  ++counters_.proofs;
  absl::Status parked = is_fenced_ ? FencedError(volume_.epoch) : guard_.Park(wait, deadline);
  if (!parked.ok()) output_.releases.push_back({wait, std::move(parked)});
}

void Writer::EpochAnswered(MemberAddress member, const protocol::EpochAnswer& answer) {
  if (is_fenced_ || answer.segment != SegmentId{volume_.descriptor.volume, member.pg}) return;
  if (answer.epoch > volume_.epoch) return Fence();
  if (!MayProve(member) || !sessions_.IsWordOf(member, answer.incarnation)) return;
  const uint64_t proven_before = guard_.proven();
  guard_.Answered(member.slot, answer, &output_.releases);
  if (guard_.proven() != proven_before) CreateProven();
}

void Writer::ReadFenced() { Fence(); }

// One that has answered for this writer's claim and has not been away since, nor come back with
// less than it acknowledged: what forgets its log may forget a promise.
bool Writer::MayProve(MemberAddress member) const {
  return member.pg == kGuardPg && sessions_.IsUp(member) &&
         acks_[kGuardPg.value()].IsCounted(member.slot);
}

void Writer::TakeProbes() {
  const quorum::SlotSet slots = guard_.TakeProbes();
  if (slots == quorum::SlotSet()) return;
  counters_.proof_rounds = guard_.round();
  for (quorum::Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
    const MemberAddress member{kGuardPg, slot};
    if (!slots.Contains(member.slot) || !MayProve(member)) continue;
    const SegmentId segment{volume_.descriptor.volume, kGuardPg};
    output_.probes.push_back({member, {.segment = segment, .round = guard_.round()}});
  }
}

void Writer::Fence() {
  if (is_fenced_) return;
  is_fenced_ = true;
  output_.sends.clear();
  output_.raise_epochs.clear();
  output_.creates.clear();
  output_.drops.clear();
  growth_.Stop();
  shipper_.TakeSends();
  commits_.ReleaseAll(absl::FailedPreconditionError(
                          Text("outcome unknown: ", FencedError(volume_.epoch).message())),
                      &output_.releases);
  guard_.ReleaseAll(FencedError(volume_.epoch), &output_.releases);
}

void Writer::OpenReadPoint(Lsn lsn) { read_points_.Open(lsn); }
void Writer::CloseReadPoint(Lsn lsn) { read_points_.Close(lsn); }

void Writer::Tick(Instant now) {
  now_ = std::max(now_, now);
  commits_.Expire(now_, &output_.releases);
  guard_.Expire(now_, &output_.releases);
  if (is_fenced_) return;
  for (MemberAddress member : sessions_.TakeDue(now_)) {
    if (sessions_.state(member) == MemberState::kRaisingEpoch) {
      RaiseEpochOf(member);
    } else {
      shipper_.Resend(member);
    }
  }
  UpdateHeldByAll();
  TickMemberships();
  SendHeartbeats();
  AskMembersBehind();
  PursueGrowth();
}

void Writer::UpdateHeldByAll() {
  std::vector<HeldByAll::Member> members;
  for (size_t i = 0; i < held_by_all_.size(); ++i) {
    members.clear();
    for (quorum::Slot slot : changers_[i].newest().ActiveSlots()) {
      const MemberAddress member{PgId(static_cast<uint32_t>(i)), slot};
      members.push_back({.slot = slot,
                         .is_here = sessions_.IsUp(member) && acks_[i].IsCounted(slot),
                         .scl = acks_[i].scl(slot)});
    }
    held_by_all_[i].Update(members, now_);
  }
}

// A batch that arrives so damaged that nobody can tell whose it is gets no answer; what is lost
// like that must not wait for the stream to break. A member that is merely slow is sent one batch
// twice.
void Writer::ResendToSilent(MemberAddress member, Silence* silence) {
  const Lsn scl = shipper_.scl(member);
  if (!shipper_.IsAwaiting(member) || scl != silence->scl) {
    *silence = {scl};
  } else if (++silence->rounds == kSilentRounds) {
    *silence = {scl};
    shipper_.Resend(member);
  }
}

// A member that holds nothing above its gap has nothing to acknowledge when its peers close it: a
// heartbeat makes it say how far it has come, so that an idle volume does not look damaged for
// ever.
void Writer::AskMembersBehind() {
  for (size_t i = 0; i < last_sent_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    if (now_ - last_sent_[i].question_at < options_.retry_interval) continue;
    for (quorum::Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
      const MemberAddress member{pg, slot};
      ResendToSilent(member, &last_sent_[i].silences[slot]);
      if (!shipper_.IsSending(member) || !shipper_.IsBehind(member)) continue;
      shipper_.HeartbeatTo(member, buffer_.SealHeartbeat(pg, HeaderOf(pg)));
    }
    last_sent_[i].question_at = now_;
  }
}

void Writer::SendHeartbeats() {
  for (size_t i = 0; i < last_sent_.size(); ++i) {
    const PgId pg(static_cast<uint32_t>(i));
    LastSent& last = last_sent_[i];
    const bool is_news = last.is_owed || last.vdl != vdl() ||
                         last.pgmrpl != read_points_.pgmrpl() ||
                         last.held_by_all != held_by_all_[i].lsn();
    if (!is_news || !buffer_.IsIdle(pg) || now_ - last.at < options_.heartbeat_interval) continue;
    const log::BatchHeader header = HeaderOf(pg);
    const bool is_sent_to_all = shipper_.Heartbeat(pg, buffer_.SealHeartbeat(pg, header));
    last.vdl = header.vdl;
    last.pgmrpl = header.pgmrpl;
    last.held_by_all = header.held_by_all;
    last.at = now_;
    last.is_owed = !is_sent_to_all;
    ++counters_.heartbeats;
  }
}

void Writer::SealAppended() {
  for (const PgId pg : appended_) {
    if (!is_fenced_) SealReady(pg);
  }
  appended_.clear();
}

WriterOutput Writer::TakeOutput() {
  SealAppended();
  TakeProbes();
  std::vector<BatchSend> sends = shipper_.TakeSends();
  counters_.sends += sends.size();
  for (const BatchSend& send : sends) counters_.sent_bytes += send.batch.bytes->size();
  output_.sends = std::move(sends);
  return std::exchange(output_, {});
}

Lsn Writer::head() const { return head_; }
Lsn Writer::vdl() const { return durability_.vdl(); }
bool Writer::is_fenced() const { return is_fenced_; }
VolumeEpoch Writer::epoch() const { return volume_.epoch; }
std::shared_ptr<const std::vector<Lsn>> Writer::HeadTails() { return head_tails_.Snapshot(); }
std::shared_ptr<const std::vector<Lsn>> Writer::DurableTails() { return durable_tails_.Snapshot(); }

}  // namespace sextant::compute
