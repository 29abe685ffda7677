// See page_repair.h.
#include "storage-node/segment/page_repair.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::storage {
namespace {

// No read is answered below it (Segment::read_floor), also after a restart, which may forget
// PGMRPL.
Lsn DurableFloor(const protocol::SegmentStatus& status) {
  return std::max(status.log_start, status.read_floor);
}

Lsn LowestRead(const protocol::SegmentStatus& status) {
  return std::max(status.pgmrpl, DurableFloor(status));
}

}  // namespace

void PageRepair::Found(const DamagedPage& damaged, Instant now) {
  absl::erase_if(repaired_, [&](const auto& entry) { return entry.second + options_.rest <= now; });
  if (!repaired_.contains(damaged)) damaged_.insert(damaged);
}

std::optional<PageRepair::Make> PageRepair::Next(const protocol::SegmentStatus& status,
                                                 const std::vector<quorum::Slot>& peers,
                                                 Instant now) {
  if (is_busy_ || damaged_.empty() || now < not_before_) return std::nullopt;
  is_busy_ = true;
  if (turn_ == 0) {  // one that nobody could replace does not keep the others waiting
    const auto next = damaged_.upper_bound(current_);
    current_ = next == damaged_.end() ? *damaged_.begin() : *next;
  }
  page_bytes_ = status.descriptor.geometry.page_bytes;
  peer_count_ = peers.size();
  turn_ = std::min(turn_, peer_count_);
  Make make{.request = {.segment = status.segment,
                        .epoch = status.epoch,
                        .read_point = std::max(current_.lsn, LowestRead(status)),
                        .pages = {current_.page}}};
  if (turn_ > 0) make.peer = peers[turn_ - 1];
  read_point_ = make.request.read_point;
  durable_floor_ = DurableFloor(status);
  return make;
}

std::optional<PageRepair::Replace> PageRepair::Made(
    const absl::StatusOr<protocol::ReadPagesReply>& reply, Instant now) {
  SEXTANT_CHECK(is_busy_ && !is_replacing_);
  if (!reply.ok() || reply->pages.size() != 1 || reply->pages[0].bytes.size() != page_bytes_ ||
      reply->pages[0].lsn > read_point_) {
    is_busy_ = false;
    TryAnother(now);
    return std::nullopt;
  }
  is_replacing_ = true;
  Replace replace{.page = current_.page};
  const page::PageImage& image = reply->pages[0];
  if (image.lsn != Lsn()) replace.image = image;
  if (current_.lsn != Lsn() && image.lsn != current_.lsn) {
    replace.drop = current_.lsn;
    if (image.lsn > std::max(current_.lsn, durable_floor_)) replace.read_floor = read_point_;
  }
  return replace;
}

void PageRepair::Replaced(const absl::Status& status, Instant now) {
  SEXTANT_CHECK(is_replacing_);
  is_busy_ = is_replacing_ = false;
  turn_ = 0;
  if (!status.ok()) {
    not_before_ = now + TakeBackoff();
    return;
  }
  damaged_.erase(current_);
  repaired_[current_] = now;
  backoff_ = absl::ZeroDuration();
}

void PageRepair::TryAnother(Instant now) {
  if (++turn_ <= peer_count_) return;
  turn_ = 0;
  not_before_ = now + TakeBackoff();
}

absl::Duration PageRepair::TakeBackoff() {
  backoff_ = std::clamp(2 * backoff_, options_.first_backoff, options_.max_backoff);
  return backoff_ * (0.5 + static_cast<double>(prng_.Below(513)) / 1024);
}

}  // namespace sextant::storage
