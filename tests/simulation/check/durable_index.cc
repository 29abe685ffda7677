// See durable_index.h. It also sees to I15: two copies of one LSN are equal, since each must equal
// what the writer appended.
#include "tests/simulation/check/durable_index.h"

namespace sextant::simulation {

const DurableIndex::Decoded& DurableIndex::Decode(const std::shared_ptr<const std::string>& batch) {
  std::unique_ptr<Decoded>& decoded = decoded_[batch.get()];
  if (decoded != nullptr) return *decoded;
  decoded = std::make_unique<Decoded>(Decoded{.bytes = batch});
  const auto view = log::DecodeBatch(*batch);
  if (!view.ok()) {
    sim_.Violate("I3", "a batch was stored that does not decode: ", View(view.status().message()));
    return *decoded;
  }
  for (const auto& entry : view->entries) {
    decoded->headers.push_back(entry.record.header);
    CompareWithHistory(entry.record);
  }
  return *decoded;
}

void DurableIndex::CompareWithHistory(const log::RecordView& record) {
  const History::Record* known = history_.Find(record.header.lsn);
  if (known != nullptr && known->epoch == record.header.epoch &&
      known->page == record.header.page && known->payload == record.payload) {
    return;
  }
  sim_.Violate("I15", "stored record at LSN ", record.header.lsn, " is not what was appended");
}

void DurableIndex::Add(NodeNo node, const storage::LogAppend& append) {
  const PgId pg = append.segment.pg;
  Copy& copy = At(node, pg);
  const Decoded& decoded = Decode(append.batch);
  positions_[{node, pg, append.position}] = &decoded;
  copy.holes = copy.holes.Without(storage::PositionSet::Of(append.position));
  for (const log::RecordHeader& header : decoded.headers) {
    Held& held = copy.records[header.lsn];
    held.epoch = header.epoch;
    held.prev_pg = header.prev_pg_lsn;
    held.copies = held.is_injured ? 1 : held.copies + 1;
    held.is_injured = false;
    if (copy.lost.erase(header.lsn) > 0 && copy.lost.empty()) sim_.Count(Rare::kDamageHealed);
  }
}

// A batch at a position that was dropped holds nothing any more; its records are gone where it was
// the only one to hold them.
void DurableIndex::Drop(NodeNo node, const storage::LogDrop& drop) {
  Copy& copy = At(node, drop.segment.pg);
  const auto first = positions_.lower_bound({node, drop.segment.pg, storage::LogPosition()});
  const auto end = positions_.lower_bound({node, drop.segment.pg, drop.before});
  for (auto at = first; at != end; ++at) {
    for (const log::RecordHeader& header : at->second->headers) {
      const auto held = copy.records.find(header.lsn);
      if (held == copy.records.end() || held->second.is_injured || --held->second.copies > 0) {
        continue;
      }
      if (header.lsn <= copy.log_start() || history_.IsAnnulled(header.lsn, header.epoch)) {
        copy.records.erase(held);
        continue;
      }
      // A batch that went astray may lie where nobody thinks that it does.
      held->second.is_injured = true;
      copy.lost.insert(header.lsn);
      if (copy.hurt.contains(header.lsn)) continue;
      sim_.Violate("I9", "node ", node, " pg ", drop.segment.pg, ": log dropped before position ",
                   drop.before, " with LSN ", header.lsn, " in it, the log starts at ",
                   copy.log_start());
    }
  }
  positions_.erase(first, end);
}

// The segment was dropped, for good: it was replaced, or is made anew. By memberships that are
// older than the one in effect what it held is judged as before.
void DurableIndex::Forget(NodeNo node, PgId pg) {
  auto dropped = copies_.extract({node, pg});
  if (!dropped.empty() && dropped.mapped().slot.has_value()) {
    Copy& copy = dropped.mapped();
    dropped_[{node, pg, *copy.slot}].insert_or_assign(InEffect(pg).epoch, std::move(copy));
  }
  positions_.erase(positions_.lower_bound({node, pg, storage::LogPosition()}),
                   positions_.lower_bound({node, pg.Next(), storage::LogPosition()}));
}

void DurableIndex::Durable(NodeNo node, const storage::StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) Forget(node, segment.pg);
  for (const storage::SegmentState& state : write.states) Keep(node, state);
  for (const storage::LogAppend& append : write.log) Add(node, append);
  for (const storage::LogDrop& drop : write.log_drops) Drop(node, drop);
}

void DurableIndex::Keep(NodeNo node, const storage::SegmentState& state) {
  const PgId pg = state.segment.pg;
  Copy* copy = &At(node, pg);
  if (copy->incarnation != state.incarnation) {  // made just now
    const bool was_counted = IsPartOfVolume(pg);
    Copy former = std::exchange(*copy, Copy{.incarnation = state.incarnation});
    std::vector<Copy>& lost = former_[{node, pg}];
    std::erase_if(lost, [&](const Copy& other) { return other.slot == state.slot; });
    if (former.is_wiped && former.slot == state.slot) {
      // What it promised of a group that never came to be binds nobody: no writer appends to it
      // before its own claims and its geometry are durable on write quorums. Nor does it where the
      // member is a candidate, or the slot another node's by now.
      const volume::Membership& newest = Newest(pg);
      const bool is_member =
          newest.base.Contains(state.slot) && nodes.at(newest.members[state.slot].node) == node;
      copy->is_amnesiac = was_counted && is_member && former.sealed > VolumeEpoch();
    } else if (former.is_wiped) {
      lost.push_back(std::move(former));
    }
  }
  copy->state = state;
  copy->slot = state.slot;
  copy->sealed = std::max(copy->sealed, state.epoch);
  copy->holes = copy->holes.Without(state.healed);
  copy->holes.DropBefore(state.first_position);
  copy->told = std::max(copy->told, state.membership.epoch);
  copy->paged = std::max(copy->paged, state.log_start);
  copy->groups = std::max(copy->groups, state.descriptor.geometry.pg_count);
  Learn(pg, state.membership);
}

void DurableIndex::Learn(PgId pg, const volume::Membership& membership) {
  Members& members = members_[pg];
  members.known.emplace(membership.epoch, membership);
  for (auto it = members.known.rbegin(); it != members.known.rend(); ++it) {
    const auto& [epoch, known] = *it;
    if (members.is_in_effect && epoch <= members.in_effect) break;
    const quorum::SlotSet told =
        Where(pg, known, [&](const Copy& copy) { return copy.told >= epoch; });
    if (!HasOfEverySet(known, told, quorum::kWriteQuorum)) continue;
    members.in_effect = epoch;
    members.is_in_effect = true;
    break;
  }
}

bool DurableIndex::IsPartOfVolume(PgId pg) const {
  if (!HasMembers(PgId(0))) return false;  // it is being founded
  const volume::Membership& first = InEffect(PgId(0));
  const quorum::SlotSet told =
      Where(PgId(0), first, [pg](const Copy& copy) { return copy.groups > pg.value(); });
  return HasOfEverySet(first, told, quorum::kWriteQuorum);
}

const volume::Membership& DurableIndex::InEffect(PgId pg) const {
  const Members& members = members_.at(pg);
  return members.is_in_effect ? members.known.at(members.in_effect) : Newest(pg);
}

const volume::Membership& DurableIndex::Newest(PgId pg, VolumeEpoch through) const {
  constexpr int kTurnBits = 32;  // common/volume/membership.cc: the volume epoch lies above them
  const Members& members = members_.at(pg);
  const auto above = members.known.lower_bound(
      MembershipEpoch((std::min<uint64_t>(through.value(), UINT32_MAX - 1) + 1) << kTurnBits));
  return above == members.known.begin() ? members.known.begin()->second : std::prev(above)->second;
}

const DurableIndex::Copy* DurableIndex::CopyOf(PgId pg, const volume::Membership& membership,
                                               quorum::Slot slot) const {
  const auto node = nodes.find(membership.members[slot].node);
  if (node == nodes.end()) return nullptr;
  const std::pair<NodeNo, PgId> key{node->second, pg};
  const auto current = copies_.find(key);
  if (current != copies_.end() && current->second.slot == slot) return &current->second;
  const auto former = former_.find(key);
  if (former == former_.end()) return nullptr;
  for (const Copy& copy : former->second) {
    if (copy.slot == slot) return &copy;
  }
  return nullptr;
}

const DurableIndex::Copy* DurableIndex::DroppedAfter(PgId pg, const volume::Membership& membership,
                                                     quorum::Slot slot) const {
  const auto node = nodes.find(membership.members[slot].node);
  if (node == nodes.end()) return nullptr;
  const auto dropped = dropped_.find({node->second, pg, slot});
  if (dropped == dropped_.end()) return nullptr;
  const auto after = dropped->second.upper_bound(membership.epoch);
  return after == dropped->second.end() ? nullptr : &after->second;
}

quorum::SlotSet DurableIndex::Holders(PgId pg, const volume::Membership& membership,
                                      Lsn lsn) const {
  return WhereEver(pg, membership, [lsn](const Copy& copy) { return copy.HasEverHeld(lsn); });
}

void DurableIndex::LogAppeared(NodeNo node, const storage::LogAppend& append) {
  const auto batch = log::DecodeBatch(*append.batch);
  // Else it was damaged before, or had gone astray before, from another group.
  if (batch.ok() && batch->header.pg == append.segment.pg) Add(node, append);
}

void DurableIndex::LogInjured(NodeNo node, SegmentId segment, storage::LogPosition position) {
  const auto at = positions_.extract({node, segment.pg, position});
  if (at.empty()) return;  // injured before
  Copy& copy = At(node, segment.pg);
  copy.holes.Add(position, position);
  ++copy.injuries;
  for (const log::RecordHeader& header : at.mapped()->headers) {
    copy.hurt.insert(header.lsn);
    Held& held = copy.records[header.lsn];
    if (held.is_injured || --held.copies > 0) continue;
    held.is_injured = true;
    copy.lost.insert(header.lsn);
  }
}

void DurableIndex::DiskLost(NodeNo node) {
  for (auto& [key, copy] : copies_) {
    if (key.first != node) continue;
    for (const auto& [lsn, held] : copy.records) copy.lost.insert(lsn);
    copy.records.clear();
    copy.state.reset();
    copy.holes = {};
    copy.is_wiped = true;
    // What it promised of a group that was not there yet binds nobody later either.
    if (!IsPartOfVolume(key.second)) copy.sealed = VolumeEpoch();
    ++copy.injuries;
  }
  std::erase_if(positions_, [node](const auto& entry) { return std::get<0>(entry.first) == node; });
}

// What is damaged cannot be read back: from here on the process knows that it lacks it.
void DurableIndex::NodeStarted(NodeNo node, const std::vector<protocol::SegmentStatus>& segments) {
  for (auto& [key, copy] : copies_) {
    if (key.first != node) continue;
    copy.hurt.clear();
    for (auto it = copy.records.begin(); it != copy.records.end();) {
      it = it->second.is_injured ? copy.records.erase(it) : std::next(it);
    }
  }
}

int DurableIndex::CountEver(PgId pg, Lsn lsn) const {
  int count = 0;
  for (const auto& [key, copy] : copies_) {
    if (key.second == pg) count += copy.HasEverHeld(lsn);
  }
  return count;
}

int DurableIndex::CountWhole(PgId pg, Lsn lsn) const {
  int count = 0;
  for (const auto& [key, copy] : copies_) {
    if (key.second != pg) continue;
    const auto held = copy.records.find(lsn);
    const bool is_held = held != copy.records.end() && !held->second.is_injured;
    count += is_held || lsn <= copy.log_start();
  }
  return count;
}

bool DurableIndex::IsInjured(NodeNo node, PgId pg) {
  Copy& copy = At(node, pg);
  for (auto it = copy.lost.begin(); it != copy.lost.end();) {
    const History::Record* record = history_.Find(*it);
    const bool is_moot =
        *it <= copy.log_start() || (record != nullptr && history_.IsAnnulled(*it, record->epoch));
    it = is_moot ? copy.lost.erase(it) : std::next(it);
  }
  return copy.is_wiped || !copy.lost.empty();
}

}  // namespace sextant::simulation
