// See log_buffer.h.
#include "compute-node/volume/log_buffer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::compute {
namespace {

// What a record's links, flags and checksum add to its payload, at most; keeps a batch within
// bounds before its last record is encoded.
constexpr uint64_t kRecordOverheadBytes = 96;

}  // namespace

LogBuffer::LogBuffer(const volume::Descriptor& volume, VolumeEpoch epoch, Lsn last_lsn,
                     const std::vector<Lsn>& pg_tails, Options options)
    : volume_(volume), epoch_(epoch), options_(options), last_lsn_(last_lsn) {
  SEXTANT_CHECK(options.max_batches_in_flight > 0);
  SEXTANT_CHECK(options.max_batch_bytes + log::kMaxPayloadBytes + kRecordOverheadBytes <=
                log::kMaxBatchBytes)
      << options.max_batch_bytes;
  for (Lsn tail : pg_tails) groups_.push_back({.last = tail, .last_sealed = tail});
}

void LogBuffer::Grow(const volume::Geometry& geometry) {
  SEXTANT_CHECK(geometry.pg_count >= groups_.size());
  volume_.geometry = geometry;
  while (groups_.size() < geometry.pg_count) groups_.emplace_back();
}

PgRuns LogBuffer::Append(const std::vector<page::PageChange>& changes, Lsn first_lsn) {
  SEXTANT_CHECK(!changes.empty());
  SEXTANT_CHECK(first_lsn > last_lsn_) << first_lsn << " after " << last_lsn_;
  PgRuns runs;
  Lsn lsn = first_lsn;
  for (const page::PageChange& change : changes) {
    const PgId pg = volume_.geometry.PgOf(change.page);
    Group& group = groups_[pg.value()];
    const log::RecordHeader header{.lsn = lsn,
                                   .prev_volume_lsn = last_lsn_,
                                   .prev_pg_lsn = group.last,
                                   .prev_page_lsn = change.base_lsn,
                                   .page = change.page,
                                   .epoch = epoch_,
                                   .is_cpl = &change == &changes.back(),
                                   .is_full_image = change.is_full_image};
    AddRecord(&group, pg, header, change.payload);
    if (runs.empty() || runs.back().pg != pg) runs.push_back({pg, lsn});
    runs.back().last = lsn;
    last_lsn_ = group.last = lsn;
    lsn = lsn.Next();
  }
  return runs;
}

void LogBuffer::AddRecord(Group* group, PgId pg, const log::RecordHeader& header,
                          std::string_view payload) {
  const bool is_full = !group->open.empty() &&
                       group->open.back().body_bytes() + payload.size() + kRecordOverheadBytes >
                           options_.max_batch_bytes;
  if (group->open.empty() || is_full) group->open.emplace_back(volume_.volume, pg);
  log::BatchBuilder& batch = group->open.back();
  const size_t before = batch.body_bytes();
  batch.Add(header, payload);
  const uint64_t added = batch.body_bytes() - before;
  unacked_bytes_ += added;
  encoded_bytes_ += added;
}

bool LogBuffer::MaySeal(PgId pg) const {
  const Group& group = groups_[pg.value()];
  if (group.open.empty()) return false;
  if (group.in_flight.empty()) return true;
  // A batch costs its six copies and their syncs whatever is in it: what would leave a small one
  // does better to wait for those whose clients are about to come back.
  const bool is_worth_it =
      group.open.size() > 1 || group.open.front().body_bytes() >= options_.min_overlap_bytes;
  return is_worth_it &&
         group.in_flight.size() < static_cast<size_t>(options_.max_batches_in_flight);
}

log::EncodedBatch LogBuffer::Seal(PgId pg, const log::BatchHeader& header) {
  SEXTANT_CHECK(MaySeal(pg));
  Group& group = groups_[pg.value()];
  log::EncodedBatch batch = group.open.front().Seal(header);
  group.open.pop_front();
  SEXTANT_CHECK(batch.first_lsn > group.last_sealed) << "batches of a group are sealed in order";
  group.last_sealed = batch.last_lsn;
  group.in_flight.push_back({batch.last_lsn, batch.header.body_bytes});
  return batch;
}

log::EncodedBatch LogBuffer::SealHeartbeat(PgId pg, const log::BatchHeader& header) const {
  return log::BatchBuilder(volume_.volume, pg).Seal(header);
}

void LogBuffer::QuorumReached(PgId pg, Lsn pgcl) {
  Group& group = groups_[pg.value()];
  while (!group.in_flight.empty() && group.in_flight.front().last <= pgcl) {
    SEXTANT_CHECK(unacked_bytes_ >= group.in_flight.front().bytes);
    unacked_bytes_ -= group.in_flight.front().bytes;
    group.in_flight.pop_front();
  }
}

bool LogBuffer::IsIdle(PgId pg) const {
  const Group& group = groups_[pg.value()];
  return group.open.empty() && group.in_flight.empty();
}

}  // namespace sextant::compute
