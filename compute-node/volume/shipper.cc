// See shipper.h.
#include "compute-node/volume/shipper.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::compute {

uint64_t Shipper::Group::BytesBefore(uint64_t number) const {
  SEXTANT_CHECK(number <= end()) << number;
  if (number == end()) return end_bytes;
  const Kept& at = kept[std::max(number, first) - first];
  return at.end_bytes - at.batch.bytes->size();
}

uint64_t Shipper::Group::FirstAbove(Lsn scl) const {
  const auto it = std::partition_point(kept.begin(), kept.end(),
                                       [scl](const Kept& k) { return k.batch.last_lsn <= scl; });
  return first + static_cast<uint64_t>(it - kept.begin());
}

void Shipper::AddGroup(Lsn tail) {
  Group& group = groups_.emplace_back();
  group.dropped_through = group.pgcl = tail;
  group.members.assign(quorum::kMaxSlots, {.is_abandoned = true});
}

void Shipper::Push(PgId pg, log::EncodedBatch batch) {
  Group& group = groups_[pg.value()];
  SEXTANT_CHECK(batch.header.record_count > 0);
  SEXTANT_CHECK(batch.first_lsn >
                (group.kept.empty() ? group.dropped_through : group.kept.back().batch.last_lsn));
  group.end_bytes += batch.bytes->size();
  retained_bytes_ += batch.bytes->size();
  group.kept.push_back({std::move(batch), group.end_bytes});
  for (size_t slot = 0; slot < group.members.size(); ++slot) {
    Pump({pg, static_cast<quorum::Slot>(slot)});
  }
  DropExcess(&group);
}

bool Shipper::Heartbeat(PgId pg, const log::EncodedBatch& batch) {
  const Group& group = groups_[pg.value()];
  bool is_sent_to_all = true;
  for (size_t slot = 0; slot < group.members.size(); ++slot) {
    const Member& member = group.members[slot];
    if (!member.is_sending) continue;
    if (member.next == group.end()) {
      sends_.push_back({{pg, static_cast<quorum::Slot>(slot)}, batch});
    } else {
      is_sent_to_all = false;
    }
  }
  return is_sent_to_all;
}

void Shipper::HeartbeatTo(MemberAddress member, const log::EncodedBatch& batch) {
  if (At(member).is_sending) sends_.push_back({member, batch});
}

void Shipper::Start(MemberAddress member, Lsn scl) {
  Group& group = GroupOf(member);
  Member& m = At(member);
  m = {.is_sending = true,
       .is_behind = scl < group.dropped_through,
       .next = group.FirstAbove(scl),
       .acked = group.FirstAbove(scl),
       .scl = scl};
  DropHeldByAll(&group);
  Pump(member);
}

void Shipper::Stop(MemberAddress member) { At(member).is_sending = false; }

void Shipper::Resend(MemberAddress member) {
  Member& m = At(member);
  const Group& group = GroupOf(member);
  m.next = std::max(m.acked, group.first);
  m.is_sending = m.is_probing = true;
  m.is_behind = m.scl < group.dropped_through;
  Pump(member);
}

void Shipper::Acked(MemberAddress member, Lsn scl) {
  Group& group = GroupOf(member);
  Member& m = At(member);
  m.is_probing = false;
  if (scl > m.scl) {
    m.scl = scl;
    // Batches are acknowledged in about the order they were sent in: each is passed over once.
    m.acked = std::max(m.acked, group.first);
    while (m.acked < group.end() && group.kept[m.acked - group.first].batch.last_lsn <= scl) {
      ++m.acked;
    }
    m.next = std::max(m.next, m.acked);
    if (m.is_behind && scl >= group.dropped_through) m.is_behind = false;
    DropHeldByAll(&group);
  }
  Pump(member);
}

void Shipper::Abandon(MemberAddress member) {
  At(member) = {.is_abandoned = true};
  DropHeldByAll(&GroupOf(member));
}

void Shipper::Join(MemberAddress member) { At(member) = {}; }

void Shipper::PgclRose(PgId pg, Lsn pgcl) {
  Group& group = groups_[pg.value()];
  group.pgcl = pgcl;
  DropExcess(&group);
}

bool Shipper::IsBehind(MemberAddress member) const { return At(member).is_behind; }

std::vector<BatchSend> Shipper::TakeSends() { return std::exchange(sends_, {}); }

void Shipper::Pump(MemberAddress member) {
  Group& group = GroupOf(member);
  Member& m = At(member);
  if (!m.is_sending) return;
  m.next = std::max(m.next, group.first);
  while (m.next < group.end()) {
    const bool is_first = m.next == std::max(m.acked, group.first);
    // Acknowledgements of one that is behind do not rise, so they cannot open a window.
    const bool has_room = m.is_behind || group.BytesBefore(m.next) -
                                                 group.BytesBefore(std::max(m.acked, group.first)) <
                                             options_.max_member_unacked_bytes;
    if (!is_first && (m.is_probing || !has_room)) return;
    sends_.push_back({member, group.kept[m.next - group.first].batch});
    ++m.next;
  }
}

void Shipper::DropFront(Group* group) {
  const Kept& front = group->kept.front();
  group->dropped_through = front.batch.last_lsn;
  retained_bytes_ -= front.batch.bytes->size();
  group->kept.pop_front();
  ++group->first;
}

void Shipper::DropHeldByAll(Group* group) {
  uint64_t held = group->end();
  for (const Member& m : group->members) {
    if (!m.is_behind && !m.is_abandoned) held = std::min(held, m.acked);
  }
  // One that is behind still has to be sent what follows.
  for (const Member& m : group->members) {
    if (m.is_behind && m.is_sending) held = std::min(held, m.next);
  }
  while (group->first < held && group->kept.front().batch.last_lsn <= group->pgcl) {
    DropFront(group);
  }
}

void Shipper::DropExcess(Group* group) {
  DropHeldByAll(group);
  while (retained_bytes_ > options_.max_retained_bytes && !group->kept.empty() &&
         group->kept.front().batch.last_lsn <= group->pgcl) {
    for (Member& m : group->members) {
      // One that was sent the batch on this stream is slow, not behind.
      const bool has_it = m.acked > group->first || (m.is_sending && m.next > group->first);
      if (!has_it) m.is_behind = true;
    }
    DropFront(group);
  }
}

}  // namespace sextant::compute
