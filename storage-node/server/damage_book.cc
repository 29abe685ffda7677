// See damage_book.h.
#include "storage-node/server/damage_book.h"

#include <spdlog/spdlog.h>

#include "common/rpc/logging.h"

namespace sextant::storage {

void DamageBook::Batch(SegmentSlot* slot, LogPosition position, const absl::Status& why) {
  size_t records = 0;
  Lsn scl;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    if (position < slot->segment.state().first_position) return;  // collected, not lost
    records = slot->segment.MarkDamaged(position);
    scl = slot->segment.Status().scl;
  }
  if (records == 0) return;
  counters_->damaged_batches.Add();
  spdlog::warn("a batch of the log is damaged, its records are fetched anew{}",
               rpc::Fields("volume", FormatVolumeId(slot->id.volume), "pg", slot->id.pg, "position",
                           position, "records", records, "scl", scl, "error", why));
  wake_();
}

void DamageBook::Page(SegmentId segment, const DamagedPage& damaged) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!pages_.emplace(segment, damaged).second) return;
  }
  wake_();
}

void DamageBook::PageOf(SegmentId segment, PageNo page) {
  std::vector<DamagedPage> found;
  const auto scanned = store_->ScanPages(
      segment, page, 1, [&](PageNo at, Lsn lsn, const absl::StatusOr<page::PageImage>& image) {
        if (at == page && absl::IsDataLoss(image.status())) found.push_back({at, lsn});
      });
  if (!scanned.ok()) return;
  for (const DamagedPage& damaged : found) Page(segment, damaged);
}

std::vector<std::pair<SegmentId, DamagedPage>> DamageBook::TakePages() {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::pair<SegmentId, DamagedPage>> taken(pages_.begin(), pages_.end());
  pages_.clear();
  return taken;
}

}  // namespace sextant::storage
