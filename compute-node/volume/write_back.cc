// See write_back.h.
#include "compute-node/volume/write_back.h"

#include <algorithm>
#include <span>
#include <utility>

namespace sextant::compute {
namespace {

constexpr size_t kBatchBytes = 1024 * 1024;
constexpr int kPatience = 5;  // failures of a source

}  // namespace

void WriteBack::AddMember(quorum::Slot slot, Lsn scl, Lsn log_start) {
  Member& member = members_.try_emplace(slot).first->second;
  member.log_start = std::max(member.log_start, log_start);
  Acked(slot, scl);
}

void WriteBack::Acked(quorum::Slot slot, Lsn scl) {
  const auto it = members_.find(slot);
  if (it == members_.end()) return;
  it->second.scl = std::max(it->second.scl, scl);
  const auto chunk = under_way_.find(slot);
  if (chunk != under_way_.end() && chunk->second.back().last_lsn <= it->second.scl) {
    under_way_.erase(chunk);
  }
}

bool WriteBack::Read(const protocol::ReadLogReply& reply) {
  const std::span<const log::RedoRecord> records(reply.records);
  bool is_useful = false;
  std::map<Lsn, std::vector<log::EncodedBatch>> chunks;  // by what they follow; most members agree
  for (const auto& [slot, member] : members_) {
    if (member.scl >= target_ || under_way_.contains(slot)) continue;
    const auto first = std::ranges::find_if(records, [&](const log::RedoRecord& record) {
      return record.header.lsn > member.scl && record.header.prev_pg_lsn == member.scl;
    });
    if (first == records.end() || first->header.lsn > target_) continue;
    auto chunk = chunks.find(member.scl);
    if (chunk == chunks.end()) {
      chunk = chunks.emplace(member.scl, Encode({first, records.end()})).first;
    }
    under_way_[slot] = chunk->second;
    is_useful = true;
  }
  if (is_useful) {
    for (auto& [slot, member] : members_) member.in_vain = 0;
  }
  return is_useful;
}

std::vector<log::EncodedBatch> WriteBack::Encode(std::span<const log::RedoRecord> records) const {
  std::vector<log::EncodedBatch> batches;
  log::BatchBuilder builder(header_.volume, header_.pg);
  Lsn last = records.front().header.prev_pg_lsn;
  for (const log::RedoRecord& record : records) {
    if (record.header.lsn > target_ || record.header.prev_pg_lsn != last) break;
    last = record.header.lsn;
    builder.Add(record.header, record.payload);
    if (builder.body_bytes() >= kBatchBytes) batches.push_back(builder.Seal(header_));
  }
  if (!builder.empty()) batches.push_back(builder.Seal(header_));
  return batches;
}

void WriteBack::SourceFailed(quorum::Slot slot) {
  const auto it = members_.find(slot);
  if (it == members_.end()) return;
  ++it->second.failures;
  ++it->second.in_vain;
}

void WriteBack::SourceDamaged(quorum::Slot slot) {
  const std::optional<NextRead> read = Next();
  const auto it = members_.find(slot);
  if (it == members_.end() || !read.has_value() || read->slot != slot) return;
  it->second.damaged_at = std::max(it->second.damaged_at.value_or(Lsn()), read->after);
}

void WriteBack::SourceCollected(quorum::Slot slot) {
  const std::optional<NextRead> read = Next();
  const auto it = members_.find(slot);
  if (it == members_.end() || !read.has_value() || read->slot != slot) return;
  it->second.log_start = std::max(it->second.log_start, read->after.Next());
}

bool WriteBack::IsLeftToPeers(quorum::Slot slot) const {
  const auto it = members_.find(slot);
  if (it == members_.end() || it->second.scl >= target_ || under_way_.contains(slot)) return false;
  if (SourceFor(it->second.scl).has_value()) return false;
  return std::ranges::any_of(
      members_, [&](const auto& other) { return other.second.log_start > it->second.scl; });
}

log::EncodedBatch WriteBack::Heartbeat() const {
  return log::BatchBuilder(header_.volume, header_.pg).Seal(header_);
}

bool WriteBack::IsDone() const {
  quorum::SlotSet whole;
  for (const auto& [slot, member] : members_) {
    if (member.scl >= target_) whole.Insert(slot);
  }
  return sets_.IsWriteQuorum(whole);
}

std::optional<quorum::Slot> WriteBack::SourceFor(Lsn after) const {
  std::optional<quorum::Slot> best;
  for (const auto& [slot, member] : members_) {
    if (member.scl <= after || member.log_start > after) continue;
    if (member.damaged_at.has_value() && *member.damaged_at >= after) continue;
    if (!best.has_value() || member.failures < members_.at(*best).failures ||
        (member.failures == members_.at(*best).failures && member.scl > members_.at(*best).scl)) {
      best = slot;
    }
  }
  return best;
}

std::optional<WriteBack::NextRead> WriteBack::Next() const {
  for (const auto& [slot, member] : members_) {
    if (member.scl >= target_ || under_way_.contains(slot)) continue;
    if (const auto source = SourceFor(member.scl); source.has_value()) {
      return NextRead{*source, member.scl, std::min(target_, members_.at(*source).scl)};
    }
  }
  return std::nullopt;
}

bool WriteBack::IsStuck() const {
  quorum::SlotSet possible;
  for (const auto& [slot, member] : members_) {
    const bool can_be_whole = member.scl >= target_ || under_way_.contains(slot) ||
                              SourceFor(member.scl).has_value() || IsLeftToPeers(slot);
    if (can_be_whole) possible.Insert(slot);
  }
  return !sets_.IsWriteQuorum(possible);
}

bool WriteBack::IsForsaken() const {
  const std::optional<NextRead> read = Next();
  return read.has_value() && members_.at(read->slot).in_vain >= kPatience;
}

Lsn WriteBack::stuck_after() const {
  Lsn lowest = target_;
  for (const auto& [slot, member] : members_) {
    if (member.scl < target_ && !SourceFor(member.scl).has_value() && !IsLeftToPeers(slot)) {
      lowest = std::min(lowest, member.scl);
    }
  }
  return lowest;
}

}  // namespace sextant::compute
