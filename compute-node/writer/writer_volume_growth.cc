// WriterVolume as it grows: groups that the writer has added, and who waits for them.
#include <utility>

#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"
#include "compute-node/writer/effects.h"
#include "compute-node/writer/writer_volume.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {

volume::Geometry WriterVolume::OpenGeometry() const {
  return recovered_->descriptor.geometry.Grown(pg_count_.load(std::memory_order_acquire));
}

void WriterVolume::FollowGrowth(Effects* effects) {
  if (writer_->grows() && grows_since_ == Instant::Max()) grows_since_ = rpc::SteadyNow();
  const uint32_t first_new = pg_count_.load(std::memory_order_relaxed);
  const uint32_t pg_count = writer_->geometry().pg_count;
  if (first_new == pg_count) return;
  // The writer takes the new groups' members for reachable; it is told of each that is not.
  for (PgId pg(first_new); pg.value() < pg_count; pg = pg.Next()) {
    for (const quorum::Slot slot : writer_->MembershipOf(pg).ActiveSlots()) {
      const std::optional<NodeIndex> node = NodeOf({pg, slot});
      if (!node || !nodes_[node->value()]->is_up) writer_->MemberDown({pg, slot});
    }
  }
  pg_count_.store(pg_count, std::memory_order_release);
  const absl::Duration took = rpc::SteadyNow() - grows_since_;
  grows_since_ = writer_->grows() ? rpc::SteadyNow() : Instant::Max();
  if (options_.on_grown) options_.on_grown(took);
  spdlog::info("volume has grown{}",
               rpc::Fields("volume", FormatVolumeId(recovered_->descriptor.volume),
                           "geometry_epoch", writer_->geometry().epoch, "first_pg", first_new,
                           "pgs", pg_count, "seconds", absl::ToDoubleSeconds(took)));
  ReleaseGrown(effects);
}

void WriterVolume::ReleaseGrown(Effects* effects) {
  if (growth_waits_.empty()) return;
  const Instant now = rpc::SteadyNow();
  std::vector<absl::Status> results;
  auto over = growth_waits_.Take([&](const GrowthWaits::Wait& wait) {
    absl::Status room = writer_->CheckPage(wait.page);
    if (absl::IsResourceExhausted(room) && wait.deadline > now && !writer_->is_fenced()) {
      return false;
    }
    if (writer_->is_fenced()) room = writer_->CheckAppend(0, {});
    results.push_back(std::move(room));
    return true;
  });
  for (size_t i = 0; i < over.size(); ++i) {
    effects->Answer(std::move(over[i].done), std::move(results[i]));
  }
}

void WriterVolume::WhenGrown(PageNo page, absl::Duration timeout, DurableCallback done) {
  if (absl::Status open = CheckOpen(); !open.ok()) return done(std::move(open));
  if (OpenGeometry().Contains(page)) return done(absl::OkStatus());
  Effects effects(this);
  absl::Status refusal;
  {
    std::lock_guard lock(mutex_);
    refusal =
        is_shut_down_ ? absl::UnavailableError(WhyNotOpen()) : writer_->CheckAppend(0, {page});
    if (absl::IsResourceExhausted(refusal)) {
      growth_waits_.Park({page, rpc::SteadyNow() + timeout, std::exchange(done, nullptr)});
    }
    if (!is_shut_down_) Settle(&effects);
  }
  if (done) done(std::move(refusal));
  effects.Run();
}

}  // namespace sextant::compute
