// See sim_upkeep.h.
#include "tests/simulation/storage/sim_upkeep.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/status.h"
#include "storage-node/segment/read_back.h"
#include "storage-node/segment/stored_bytes.h"

namespace sextant::simulation {

using storage::CollectRound;
using storage::Scrub;

SimUpkeep::~SimUpkeep() {
  if (!round_.has_value()) return;
  const bool is_made = round_->step() == CollectRound::Step::kReadBack ||
                       round_->step() == CollectRound::Step::kMoveLogStart;
  if (is_made) sim_.Count(Rare::kKilledBeforeLogDrop);
  if (round_->step() == CollectRound::Step::kDropVersions) sim_.Count(Rare::kKilledAfterLogDrop);
}

void SimUpkeep::After(absl::Duration pause) {
  sim_.loop.After(pause, process_, [this] { Work(); });
}

void SimUpkeep::Work() {
  has_worked_ = false;
  Collect();
}

void SimUpkeep::Next() {
  ScrubNext();
  const bool is_soon = has_worked_ && !node_.is_busy();
  After(is_soon ? plan_.pause : has_worked_ ? 4 * plan_.pause : plan_.interval);
}

// --- the log's collection

void SimUpkeep::Collect() {
  if (round_.has_value() && slot_->is_dropped) round_.reset();
  if (!round_.has_value()) Begin();
  if (!round_.has_value()) return Next();
  has_worked_ = true;
  const bool is_heavy = round_->step() == CollectRound::Step::kFlush;
  sim_.loop.After(is_heavy ? disk_.WriteTime() : disk_.ReadTime(), process_, [this] { Carry(); });
}

void SimUpkeep::Begin() {
  if (now() < rests_until_) return;
  std::vector<Slot*> slots = node_.slots();
  const auto next =
      std::ranges::find_if(slots, [this](const Slot* slot) { return last_ < slot->id; });
  std::rotate(slots.begin(), next, slots.end());
  for (Slot* slot : slots) {
    auto plan = slot->segment.PlanCollect(plan_.collect);
    if (!plan.has_value()) continue;
    last_ = slot->id;
    slot_ = slot;
    round_.emplace(*std::move(plan));
    return;
  }
}

void SimUpkeep::Carry() {
  CollectRound& round = *round_;
  if (slot_->is_dropped) return Carried(absl::NotFoundError("dropped"));
  switch (round.step()) {
    case CollectRound::Step::kMakeVersion:
      return Carried(MakeVersion());
    case CollectRound::Step::kFlush:
      if (absl::Status status = node_.written(disk_.FlushPages()); !status.ok()) {
        return Carried(status);
      }
      round.Done();
      return Carried(absl::OkStatus());
    case CollectRound::Step::kReadBack:
      return Carried(round.ReadBack(storage::ReadBackPage(
          &disk_, slot_->id, {round.page(), round.version()}, round.through())));
    case CollectRound::Step::kMoveLogStart:
      return node_.move_log_start(slot_, round.to(), [this](const absl::Status& status) {
        if (status.ok()) {
          sim_.Count(Rare::kLogCollected);
          sim_.Tell("pg ", slot_->id.pg, " of process ", process_, ": log collected through ",
                    round_->through());
          round_->Done();
        }
        Carried(status);
      });
    case CollectRound::Step::kDropVersions:
      if (absl::Status status =
              node_.written(disk_.DropPageVersions(slot_->id, round.page(), round.version()));
          !status.ok()) {
        return Carried(status);
      }
      round.Done();
      return Carried(absl::OkStatus());
    case CollectRound::Step::kFinished:
      return Carried(absl::OkStatus());
  }
}

absl::Status SimUpkeep::MakeVersion() {
  ASSIGN_OR_RETURN(const Version version,
                   node_.make_version(slot_, round_->page(), round_->through()));
  if (version.is_new) {
    RETURN_IF_ERROR(node_.written(disk_.WritePage(slot_->id, round_->page(), version.image)));
  }
  return round_->Made(version.image.lsn);
}

void SimUpkeep::Carried(const absl::Status& status) {
  if (!status.ok()) {
    if (absl::IsDataLoss(status)) sim_.Count(Rare::kCollectMetDamage);
    round_.reset();
    rests_until_ = now() + plan_.rest_after_failure;
  } else if (round_->step() == CollectRound::Step::kFinished) {
    round_.reset();
  }
  Next();
}

// --- scrubbing

void SimUpkeep::ScrubNext() {
  const std::vector<Slot*> slots = node_.slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    Slot* slot = slots[turn_++ % slots.size()];
    Scrub& scrub = scrubs_.try_emplace(slot->id, plan_.scrub).first->second;
    const Scrub::Step step = scrub.Next(now());
    if (const auto* log = std::get_if<Scrub::VerifyLog>(&step)) {
      VerifyLog(slot, &scrub, *log);
    } else if (const auto* pages = std::get_if<Scrub::VerifyPages>(&step)) {
      VerifyPages(slot, &scrub, *pages);
    } else {
      continue;
    }
    has_worked_ = true;
    return;
  }
}

void SimUpkeep::VerifyLog(Slot* slot, Scrub* scrub, const Scrub::VerifyLog& step) {
  const storage::LogReadPlan plan = slot->segment.PlanScrub(step.after, step.max_bytes);
  std::map<storage::LogPosition, std::vector<storage::RecordLocation>> batches;
  for (const storage::RecordLocation& at : plan.records) batches[at.position].push_back(at);
  for (const auto& [position, records] : batches) {
    const std::string* bytes = disk_.Batch(slot->id, position);  // no copy: most of a day is this
    if (bytes == nullptr || absl::IsDataLoss(storage::VerifyBatch(slot->id, *bytes, records))) {
      node_.batch_damaged(slot, position);
    }
  }
  scrub->LogVerified(plan.is_last ? std::nullopt : std::optional<Lsn>(plan.records.back().lsn));
}

void SimUpkeep::VerifyPages(Slot* slot, Scrub* scrub, const Scrub::VerifyPages& step) {
  const auto next =
      disk_.ScanPages(slot->id, step.from, step.limit,
                      [&](PageNo page, Lsn lsn, const absl::StatusOr<page::PageImage>& image) {
                        if (absl::IsDataLoss(image.status()))
                          node_.page_damaged(slot->id, {page, lsn});
                      });
  scrub->PagesVerified(next.ok() ? *next : std::nullopt, now());
}

}  // namespace sextant::simulation
