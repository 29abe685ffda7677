// See scrub_task.h.
#include "storage-node/server/scrub_task.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include "common/rpc/logging.h"
#include "storage-node/segment/stored_bytes.h"

namespace sextant::storage {
ScrubTask::ScrubTask(const UpkeepOptions& options, SegmentStore* store, DamageBook* book,
                     NodeCounters* counters, std::function<std::vector<SegmentSlot*>()> slots)
    : options_(options.scrub),
      store_(store),
      book_(book),
      counters_(counters),
      slots_(std::move(slots)),
      budget_(options.scrub_bytes_per_second) {}

UpkeepTask::Step ScrubTask::Work(Instant now) {
  if (now < budget_.ready_at()) return {.is_idle = true};
  const std::vector<SegmentSlot*> slots = slots_();
  for (size_t i = 0; i < slots.size(); ++i) {
    SegmentSlot* slot = slots[turn_++ % slots.size()];
    Scrub& scrub = scrubs_.try_emplace(slot->id, options_).first->second;
    const Scrub::Step step = scrub.Next(now);
    uint64_t bytes = 0;
    if (const auto* log = std::get_if<Scrub::VerifyLog>(&step)) {
      bytes = VerifyLog(slot, &scrub, *log);
    } else if (const auto* pages = std::get_if<Scrub::VerifyPages>(&step)) {
      bytes = VerifyPages(slot, &scrub, *pages, now);
    } else {
      continue;
    }
    counters_->scrub_bytes.Add(bytes);
    budget_.Spend(bytes, now);
    return {.bytes = bytes};
  }
  return {.is_idle = true};
}

uint64_t ScrubTask::VerifyLog(SegmentSlot* slot, Scrub* scrub, const Scrub::VerifyLog& step) {
  LogReadPlan plan;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    plan = slot->segment.PlanScrub(step.after, step.max_bytes);
  }
  std::map<LogPosition, std::vector<RecordLocation>> batches;
  for (const RecordLocation& at : plan.records) batches[at.position].push_back(at);
  uint64_t bytes = 0;
  for (const auto& [position, records] : batches) bytes += VerifyBatch(slot, position, records);
  scrub->LogVerified(plan.is_last ? std::nullopt : std::optional<Lsn>(plan.records.back().lsn));
  return bytes;
}

uint64_t ScrubTask::VerifyBatch(SegmentSlot* slot, LogPosition position,
                                const std::vector<RecordLocation>& records) {
  const absl::StatusOr<std::string> bytes = store_->ReadBatch(slot->id, position);
  absl::Status status =
      bytes.ok() ? storage::VerifyBatch(slot->id, *bytes, records) : bytes.status();
  if (absl::IsDataLoss(status) || absl::IsNotFound(status)) book_->Batch(slot, position, status);
  return bytes.ok() ? bytes->size() : 0;
}

uint64_t ScrubTask::VerifyPages(SegmentSlot* slot, Scrub* scrub, const Scrub::VerifyPages& step,
                                Instant now) {
  uint64_t bytes = 0;
  const auto next = store_->ScanPages(
      slot->id, step.from, step.limit,
      [&](PageNo page, Lsn lsn, const absl::StatusOr<page::PageImage>& image) {
        bytes += slot->page_bytes;
        if (!absl::IsDataLoss(image.status())) return;
        counters_->damaged_pages.Add();
        spdlog::warn("a stored page version is damaged{}",
                     rpc::Fields("volume", FormatVolumeId(slot->id.volume), "pg", slot->id.pg,
                                 "page", page, "lsn", lsn, "error", image.status()));
        book_->Page(slot->id, {page, lsn});
      });
  scrub->PagesVerified(next.ok() ? *next : std::nullopt, now);
  if (!next.ok() || !next->has_value()) counters_->scrub_passes.Add();
  return bytes;
}

}  // namespace sextant::storage
