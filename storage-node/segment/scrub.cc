// See scrub.h.
#include "storage-node/segment/scrub.h"

#include "common/base/check.h"

namespace sextant::storage {

Scrub::Step Scrub::Next(Instant now) {
  if (is_busy_) return {};
  if (state_ == State::kResting) {
    if (now < begin_at_) return {};
    begin_at_ = now + options_.interval;
    state_ = State::kLog;
    after_ = Lsn();
    from_ = PageNo();
  }
  is_busy_ = true;
  if (state_ == State::kLog) return VerifyLog{after_, options_.log_bytes_per_step};
  return VerifyPages{from_, options_.pages_per_step};
}

void Scrub::LogVerified(std::optional<Lsn> next) {
  SEXTANT_CHECK(is_busy_ && state_ == State::kLog);
  is_busy_ = false;
  if (next.has_value()) {
    SEXTANT_CHECK(*next > after_) << *next << " after " << after_;
    after_ = *next;
  } else {
    state_ = State::kPages;
  }
}

void Scrub::PagesVerified(std::optional<PageNo> next, Instant now) {
  SEXTANT_CHECK(is_busy_ && state_ == State::kPages);
  is_busy_ = false;
  if (next.has_value()) {
    SEXTANT_CHECK(*next > from_) << *next << " after " << from_;
    from_ = *next;
    return;
  }
  state_ = State::kResting;
  ++passes_;
  passed_at_ = now;
}

}  // namespace sextant::storage
