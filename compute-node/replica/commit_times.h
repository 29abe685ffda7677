// CommitTimes: which commits there were and when they became durable, for time travel. Core.
//
// A bounded history of (commit LSN, time by the writer's clock). A read as of an LSN is taken down
// to the newest commit at or below it, so that no view is part of a mini-transaction; a read as of
// a time to the newest commit that was durable by then. What is older than the history is too old:
// it is not known where its commits lay.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "common/log/lsn.h"
#include "common/protocol/redo_messages.h"

namespace sextant::compute {

class CommitTimes {
 public:
  explicit CommitTimes(size_t max_commits = size_t{1} << 20) : max_commits_(max_commits) {}

  // The history begins (anew): `vdl` was durable at `time_us`.
  void Begin(Lsn vdl, int64_t time_us);
  // In LSN order. A clock that was set back does not turn time back.
  void Committed(Lsn commit_lsn, int64_t time_us);
  // Nobody asks below `floor` any more: forgets what lies below the newest commit at or below it.
  void Forget(Lsn floor);

  // Goes on from what another node knew (ascending; times that lie in the future count as
  // `time_us`), if it knew every commit through `vdl`: that is, `vdl` itself. Else as Begin.
  void Resume(const std::vector<protocol::DurableStep>& history, Lsn vdl, int64_t time_us);

  bool is_empty() const { return commits_.empty(); }
  Lsn oldest() const { return commits_.front().vdl; }
  Lsn newest() const { return commits_.back().vdl; }
  int64_t oldest_time_us() const { return commits_.front().time_us; }
  int64_t newest_time_us() const { return commits_.back().time_us; }
  size_t size() const { return commits_.size(); }

  // The newest commit at or below `lsn`. OUT_OF_RANGE: above the newest; or too old, and what the
  // oldest is.
  absl::StatusOr<Lsn> AtLsn(Lsn lsn) const;
  // The newest commit that was durable at `time_us`. OUT_OF_RANGE: too old.
  absl::StatusOr<Lsn> AtTime(int64_t time_us) const;

  // The newest `most`, one by one.
  std::vector<protocol::DurableStep> Newest(size_t most) const {
    const auto left = static_cast<ptrdiff_t>(commits_.size() - std::min(most, commits_.size()));
    return {commits_.begin() + left, commits_.end()};
  }
  // What lies in (after, through], commits of one time as one step.
  std::vector<protocol::DurableStep> Steps(Lsn after, Lsn through) const;

 private:
  using Commits = std::deque<protocol::DurableStep>;
  absl::Status TooOld() const;
  // The first above `lsn`.
  Commits::const_iterator Above(Lsn lsn) const;

  const size_t max_commits_;
  Commits commits_;  // ascending in both
};

}  // namespace sextant::compute
