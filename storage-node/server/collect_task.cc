// See collect_task.h.
#include "storage-node/server/collect_task.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/rpc/logging.h"
#include "storage-node/segment/read_back.h"

namespace sextant::storage {
namespace {

// What made a round fail, damage mostly, will not pass in a moment.
constexpr absl::Duration kRestAfterFailure = absl::Seconds(10);

}  // namespace

CollectTask::CollectTask(CollectOptions options, SegmentStore* store, SegmentReader* reader,
                         NodeCounters* counters, Outside outside)
    : options_(options),
      store_(store),
      reader_(reader),
      counters_(counters),
      outside_(std::move(outside)) {}

UpkeepTask::Step CollectTask::Work(Instant now) {
  if (round_.has_value() && slot_->is_dropped) round_.reset();
  if (!round_.has_value()) Begin(now);
  if (!round_.has_value()) return {.is_idle = true};
  const absl::StatusOr<uint64_t> bytes = Carry();
  if (!bytes.ok()) {
    Failed(bytes.status(), now);
    return {.is_idle = true};
  }
  if (round_->step() == CollectRound::Step::kFinished) Finished();
  return {.bytes = *bytes};
}

void CollectTask::Begin(Instant now) {
  if (now < rests_until_) return;
  std::vector<SegmentSlot*> slots = outside_.slots();
  std::ranges::sort(slots, {}, [](const SegmentSlot* slot) { return slot->id; });
  const auto next =
      std::ranges::find_if(slots, [this](const SegmentSlot* slot) { return last_ < slot->id; });
  std::rotate(slots.begin(), next, slots.end());
  for (SegmentSlot* slot : slots) {
    std::optional<CollectPlan> plan;
    {
      std::lock_guard<std::mutex> lock(slot->mutex);
      plan = slot->segment.PlanCollect(options_);
    }
    if (!plan.has_value()) continue;
    last_ = slot->id;
    slot_ = slot;
    round_.emplace(*std::move(plan));
    return;
  }
}

absl::StatusOr<uint64_t> CollectTask::Carry() {
  CollectRound& round = *round_;
  switch (round.step()) {
    case CollectRound::Step::kMakeVersion:
      return MakeVersion();
    case CollectRound::Step::kFlush:
      if (absl::Status status = store_->FlushPages(); !status.ok()) {
        outside_.on_write_error(status);
        return status;
      }
      round.Done();
      return 0;
    case CollectRound::Step::kReadBack:
      RETURN_IF_ERROR(round.ReadBack(
          ReadBackPage(store_, slot_->id, {round.page(), round.version()}, round.through())));
      return 2 * uint64_t{slot_->page_bytes};
    case CollectRound::Step::kMoveLogStart:
      RETURN_IF_ERROR(outside_.move_log_start(slot_, round.to()));
      round.Done();
      return 0;
    case CollectRound::Step::kDropVersions:
      if (absl::Status status = store_->DropPageVersions(slot_->id, round.page(), round.version());
          !status.ok()) {
        outside_.on_write_error(status);
        return status;
      }
      round.Done();
      return 0;
    case CollectRound::Step::kFinished:
      break;
  }
  return 0;
}

absl::StatusOr<uint64_t> CollectTask::MakeVersion() {
  ASSIGN_OR_RETURN(const SegmentReader::Version version,
                   reader_->MakeVersion(slot_, round_->page(), round_->through()));
  if (version.is_new) {
    if (absl::Status status = store_->WritePage(slot_->id, round_->page(), version.image);
        !status.ok()) {
      outside_.on_write_error(status);
      return status;
    }
    counters_->pages_stored.Add();
  }
  RETURN_IF_ERROR(round_->Made(version.image.lsn));
  return 2 * uint64_t{slot_->page_bytes};
}

void CollectTask::Failed(const absl::Status& why, Instant now) {
  counters_->collect_failures.Add();
  spdlog::warn("log is not collected, it is kept{}",
               rpc::Fields("volume", FormatVolumeId(slot_->id.volume), "pg", slot_->id.pg,
                           "through", round_->through(), "error", why));
  round_.reset();
  rests_until_ = now + kRestAfterFailure;
}

void CollectTask::Finished() {
  counters_->collect_rounds.Add();
  spdlog::debug("log collected{}",
                rpc::Fields("volume", FormatVolumeId(slot_->id.volume), "pg", slot_->id.pg,
                            "log_start", round_->through(), "pages", round_->page_count()));
  round_.reset();
}

}  // namespace sextant::storage
