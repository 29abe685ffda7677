// See commit_times.h.
#include "compute-node/replica/commit_times.h"

#include <algorithm>

#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {

using protocol::DurableStep;

void CommitTimes::Begin(Lsn vdl, int64_t time_us) {
  commits_.clear();
  commits_.push_back({vdl, time_us});
}

void CommitTimes::Resume(const std::vector<DurableStep>& history, Lsn vdl, int64_t time_us) {
  const auto last = std::ranges::lower_bound(history, vdl, {}, &DurableStep::vdl);
  if (last == history.end() || last->vdl != vdl) return Begin(vdl, time_us);
  commits_.clear();
  for (auto it = history.begin(); it != std::next(last); ++it) {
    Committed(it->vdl, std::min(it->time_us, time_us));
  }
}

void CommitTimes::Committed(Lsn commit_lsn, int64_t time_us) {
  SEXTANT_CHECK(commits_.empty() || commit_lsn > newest())
      << "commit " << commit_lsn << " after " << newest();
  if (!commits_.empty()) time_us = std::max(time_us, newest_time_us());
  commits_.push_back({commit_lsn, time_us});
  if (commits_.size() > max_commits_) commits_.pop_front();
}

void CommitTimes::Forget(Lsn floor) {
  while (commits_.size() > 1 && commits_[1].vdl <= floor) commits_.pop_front();
}

CommitTimes::Commits::const_iterator CommitTimes::Above(Lsn lsn) const {
  return std::upper_bound(commits_.begin(), commits_.end(), lsn,
                          [](Lsn at, const DurableStep& step) { return at < step.vdl; });
}

absl::Status CommitTimes::TooOld() const {
  if (commits_.empty()) return absl::OutOfRangeError("snapshot too old: no commit is known yet");
  return absl::OutOfRangeError(
      Text("snapshot too old: the oldest that can be read is lsn ", oldest(), ", durable at ",
           absl::FormatTime(absl::RFC3339_full, absl::FromUnixMicros(commits_.front().time_us),
                            absl::UTCTimeZone())));
}

absl::StatusOr<Lsn> CommitTimes::AtLsn(Lsn lsn) const {
  const auto above = Above(lsn);
  if (above == commits_.begin()) return TooOld();
  if (above == commits_.end() && lsn > newest()) {
    return absl::OutOfRangeError(
        Text("lsn ", lsn, " is above the newest commit that can be read here, lsn ", newest()));
  }
  return std::prev(above)->vdl;
}

absl::StatusOr<Lsn> CommitTimes::AtTime(int64_t time_us) const {
  const auto later =
      std::upper_bound(commits_.begin(), commits_.end(), time_us,
                       [](int64_t at, const DurableStep& step) { return at < step.time_us; });
  if (later == commits_.begin()) return TooOld();
  return std::prev(later)->vdl;
}

std::vector<DurableStep> CommitTimes::Steps(Lsn after, Lsn through) const {
  std::vector<DurableStep> steps;
  for (auto it = Above(after); it != commits_.end() && it->vdl <= through; ++it) {
    const bool is_same = !steps.empty() && steps.back().time_us == it->time_us;
    if (is_same) {
      steps.back().vdl = it->vdl;
    } else {
      steps.push_back(*it);
    }
  }
  return steps;
}

}  // namespace sextant::compute
