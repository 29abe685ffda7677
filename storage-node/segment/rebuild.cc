// See rebuild.h.
#include "storage-node/segment/rebuild.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"
#include "storage-node/segment/gossip.h"

namespace sextant::storage {

void Rebuild::Start(const protocol::SegmentStatus& status, Instant now) {
  if (is_running()) return;
  begun_ = status;
  progress_ = {};
  not_before_ = now;
  in_vain_ = 0;
  backoff_ = absl::ZeroDuration();
  BeginPass();
}

void Rebuild::BeginPass() {
  state_ = State::kCopying;
  const uint64_t first_page =
      uint64_t{begun_.segment.pg.value()} * begun_.descriptor.geometry.pages_per_pg;
  // What the segment's own log no longer holds, its page versions do.
  request_ = {
      .segment = begun_.segment, .from = PageNo(first_page), .changed_after = begun_.log_start};
  log_start_.reset();
  read_floor_ = Lsn();
  written_.clear();
  read_back_ = 0;
  progress_.next = request_.from;
}

// Something else, the writer or a peer's log, closed the gap: what was copied does no harm. Or the
// segment was made anew, without what was copied: another pass must begin at the first page.
bool Rebuild::IsOver(const protocol::SegmentStatus& status) const {
  if (status.incarnation != begun_.incarnation) return true;
  return !Gossip::IsLacking(status) || (log_start_.has_value() && status.scl >= *log_start_);
}

Rebuild::Duty Rebuild::Next(const protocol::SegmentStatus& status,
                            const std::vector<quorum::Slot>& peers, Instant now) {
  if (!is_running() || is_busy_) return {};
  if (IsOver(status)) {
    state_ = State::kIdle;
    return {};
  }
  if (now < not_before_) return {};
  if (state_ == State::kReadingBack) return NextReadBack();
  if (state_ == State::kFinishing) {
    is_busy_ = true;
    return Finish{
        .incarnation = begun_.incarnation, .log_start = *log_start_, .read_floor = read_floor_};
  }
  if (peers.size() != peer_count_) {
    peer_count_ = peers.size();
    turn_ = peers.empty() ? 0 : prng_.Below(peers.size());
    in_vain_ = 0;
  }
  if (peers.empty()) return {};
  is_busy_ = true;
  peer_ = peers[turn_];
  request_.epoch = status.epoch;
  return Ask{.peer = peer_, .request = request_};
}

absl::Status Rebuild::Copied(const absl::StatusOr<protocol::CopyPagesReply>& reply, Instant now) {
  SEXTANT_CHECK(is_busy_ && state_ == State::kCopying);
  is_busy_ = false;
  const absl::Status status = reply.ok() ? Check(*reply) : reply.status();
  if (status.ok()) {
    Take(*reply);
  } else {
    TryAnother(now);
  }
  return status;
}

absl::Status Rebuild::Check(const protocol::CopyPagesReply& reply) const {
  if (reply.pg_lsn > reply.read_point) {
    return absl::DataLossError(Text("lsn ", reply.pg_lsn, " at or below read point ",
                                    reply.read_point, "in a copy of pages"));
  }
  if (reply.pg_lsn <= begun_.scl) {
    return absl::UnavailableError(Text("the peer knows of lsn ", reply.pg_lsn,
                                       " only, the segment holds all through ", begun_.scl));
  }
  const volume::Geometry& geometry = begun_.descriptor.geometry;
  PageNo next = request_.from;
  for (const auto& [page, image] : reply.pages) {
    if (page < next || geometry.PgOf(page) != begun_.segment.pg ||
        image.bytes.size() != geometry.page_bytes || image.lsn <= request_.changed_after ||
        image.lsn > reply.pg_lsn) {
      return absl::DataLossError(Text("page ", page, " of ", image.bytes.size(),
                                      " bytes as of lsn ", image.lsn, " in a copy from page ",
                                      request_.from, " on"));
    }
    next = page.Next();
  }
  if (!reply.is_last && (reply.next < next || reply.next == request_.from)) {
    return absl::DataLossError(
        Text("a copy of pages goes on at page ", reply.next, " after page ", next));
  }
  return absl::OkStatus();
}

void Rebuild::Take(const protocol::CopyPagesReply& reply) {
  log_start_ = std::min(log_start_.value_or(reply.pg_lsn), reply.pg_lsn);
  read_floor_ = std::max(read_floor_, reply.read_point);
  progress_.pages_copied += reply.pages.size();
  for (const auto& [page, image] : reply.pages) {
    progress_.bytes_copied += image.bytes.size();
    written_.push_back({page, image.lsn});
  }
  in_vain_ = 0;
  backoff_ = absl::ZeroDuration();
  if (reply.is_last) {
    state_ = written_.empty() ? State::kFinishing : State::kReadingBack;
  } else {
    progress_.next = request_.from = reply.next;
  }
}

Rebuild::Duty Rebuild::NextReadBack() {
  is_busy_ = true;
  reading_back_ = std::min(options_.pages_read_back_at_once, written_.size() - read_back_);
  const auto first = written_.begin() + static_cast<ptrdiff_t>(read_back_);
  return ReadBack{.is_first = read_back_ == 0,
                  .pages = {first, first + static_cast<ptrdiff_t>(reading_back_)}};
}

void Rebuild::WasReadBack(const absl::Status& status, Instant now) {
  SEXTANT_CHECK(is_busy_ && state_ == State::kReadingBack);
  is_busy_ = false;
  if (!status.ok()) {
    not_before_ = now + TakeBackoff();
    return BeginPass();
  }
  read_back_ += reading_back_;
  if (read_back_ == written_.size()) state_ = State::kFinishing;
}

void Rebuild::TryAnother(Instant now) {
  turn_ = (turn_ + 1) % peer_count_;
  if (++in_vain_ < peer_count_) return;
  in_vain_ = 0;
  not_before_ = now + TakeBackoff();
}

void Rebuild::Finished(const absl::Status& status, Instant now) {
  SEXTANT_CHECK(is_busy_ && state_ == State::kFinishing);
  is_busy_ = false;
  if (status.ok()) {
    state_ = State::kIdle;
  } else {
    not_before_ = now + TakeBackoff();
  }
}

absl::Duration Rebuild::TakeBackoff() {
  backoff_ = std::clamp(2 * backoff_, options_.first_backoff, options_.max_backoff);
  return backoff_ * (0.5 + static_cast<double>(prng_.Below(513)) / 1024);
}

}  // namespace sextant::storage
