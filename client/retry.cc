// See retry.h.
#include "client/retry.h"

#include <algorithm>

namespace sextant::client {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(10);
constexpr absl::Duration kLongestPause = absl::Milliseconds(500);

Verdict JudgeLoss(const Setback& setback) {
  const bool is_begun = setback.kind == Setback::Kind::kLost;
  // Its transaction died with the session, unless this very request may have committed it.
  if (setback.was_in_transaction) {
    return is_begun && setback.may_commit ? Verdict::kReportUnknown
                                                   : Verdict::kReportLostTransaction;
  }
  if (is_begun && setback.may_change) return Verdict::kReportUnknown;
  return setback.was_shown ? Verdict::kReport : Verdict::kRetryElsewhere;
}

Verdict JudgeAnswer(const Setback& setback) {
  if (setback.is_unknown) return Verdict::kReportUnknown;
  if (setback.was_in_transaction || setback.was_shown) return Verdict::kReport;
  if (!setback.is_nothing_done) return Verdict::kReport;
  // This node does not write, or no longer.
  if (setback.code == absl::StatusCode::kFailedPrecondition) return Verdict::kRetryElsewhere;
  if (!setback.is_retriable) return Verdict::kReport;
  switch (setback.code) {
    case absl::StatusCode::kUnavailable:
      return Verdict::kRetryElsewhere;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
      return Verdict::kRetry;
    default:  // a deadline that the caller set is the caller's to set again
      return Verdict::kReport;
  }
}

}  // namespace

Verdict Judge(const Setback& setback) {
  return setback.kind == Setback::Kind::kAnswered ? JudgeAnswer(setback) : JudgeLoss(setback);
}

absl::Duration Backoff::Next() {
  const absl::Duration bound = bound_;
  bound_ = std::clamp(2 * bound_, kFirstPause, kLongestPause);
  const auto us = static_cast<uint64_t>(absl::ToInt64Microseconds(bound));
  return absl::Microseconds(us / 2 + (us == 0 ? 0 : prng_.Below(us / 2 + 1)));
}

}  // namespace sextant::client
