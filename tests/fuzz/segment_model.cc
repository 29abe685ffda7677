// See segment_model.h.
#include "tests/fuzz/segment_model.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::fuzz {

bool SegmentModel::IsOwnPage(PageNo page) const {
  const uint64_t first = state_.segment.pg.value() * state_.descriptor.geometry.pages_per_pg;
  return page.value() >= first && page.value() - first < state_.descriptor.geometry.pages_per_pg;
}

SegmentModel::SegmentModel(const storage::testing::Disk& disk) : state_(disk.state) {
  for (const auto& [position, bytes] : disk.log) ApplyBatch(*bytes);
}

void SegmentModel::Apply(const storage::StoreWrite& write) {
  for (const storage::LogAppend& append : write.log) ApplyBatch(*append.batch);
  for (const storage::SegmentState& state : write.states) {
    const std::vector<volume::Truncation> before = std::move(state_.truncations);
    SEXTANT_CHECK(state.epoch >= state_.epoch) << "an epoch that falls: " << state.epoch;
    state_ = state;
    Truncate(before);
  }
}

void SegmentModel::ApplyBatch(std::string_view bytes) {
  const auto batch = log::DecodeBatch(bytes);
  if (!batch.ok()) return;  // damaged while it lay there
  log_bytes_ += bytes.size();
  for (const log::BatchView::Entry& entry : batch->entries) {
    const log::RecordHeader& record = entry.record.header;
    if (record.lsn > scl() && !held_.contains(record.lsn) && !IsAnnulled(record)) {
      held_[record.lsn] = record;
    }
  }
}

bool SegmentModel::IsAnnulled(const log::RecordHeader& record) const {
  return std::any_of(state_.truncations.begin(), state_.truncations.end(),
                     [&record](const volume::Truncation& truncation) {
                       return truncation.Annuls(record.lsn, record.epoch);
                     });
}

// Only a truncation that was not known takes anything out; one that is withdrawn brings nothing
// back.
void SegmentModel::Truncate(const std::vector<volume::Truncation>& before) {
  for (const volume::Truncation& truncation : state_.truncations) {
    const bool is_known =
        std::any_of(before.begin(), before.end(),
                    [&truncation](const auto& known) { return known.epoch == truncation.epoch; });
    if (is_known) continue;
    std::erase_if(held_, [&truncation](const auto& entry) {
      return truncation.Annuls(entry.first, entry.second.epoch);
    });
  }
}

Lsn SegmentModel::scl() const {
  Lsn scl;
  for (const auto& [lsn, record] : held_) {
    if (record.prev_pg_lsn != scl) break;
    scl = lsn;
  }
  return scl;
}

void SegmentModel::CheckStatus(const protocol::SegmentStatus& status) const {
  const Lsn scl = this->scl();
  SEXTANT_CHECK(status.scl == scl) << "scl " << status.scl << ", the disk says " << scl;
  const auto ahead = static_cast<uint64_t>(std::distance(held_.upper_bound(scl), held_.end()));
  SEXTANT_CHECK(status.records_ahead == ahead) << status.records_ahead << ", not " << ahead;
  SEXTANT_CHECK(status.epoch == state_.epoch && status.writer == state_.writer &&
                status.truncations == state_.truncations)
      << "epoch " << status.epoch << ", the disk says " << state_.epoch;
  SEXTANT_CHECK(status.log_bytes == log_bytes_) << status.log_bytes << ", not " << log_bytes_;
}

void SegmentModel::CheckLog(const std::vector<log::RedoRecord>& records) const {
  auto expected = held_.begin();
  for (const log::RedoRecord& record : records) {
    SEXTANT_CHECK(expected != held_.end() && record.header == expected->second)
        << "lsn " << record.header.lsn << " is served";
    CheckServed(record.header);
    ++expected;
  }
  const Lsn scl = this->scl();
  SEXTANT_CHECK(expected == held_.upper_bound(scl))
      << records.size() << " records are served up to scl " << scl;
}

void SegmentModel::CheckServed(const log::RecordHeader& record) const {
  SEXTANT_CHECK(!IsAnnulled(record)) << "lsn " << record.lsn << " is annulled";
  const auto held = held_.find(record.lsn);
  SEXTANT_CHECK(held != held_.end() && held->second == record) << "lsn " << record.lsn;
  SEXTANT_CHECK(IsOwnPage(record.page)) << "page " << record.page << " of lsn " << record.lsn;
}

}  // namespace sextant::fuzz
