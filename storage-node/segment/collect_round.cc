// See collect_round.h.
#include "storage-node/segment/collect_round.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {

CollectRound::CollectRound(CollectPlan plan) : plan_(std::move(plan)) {
  versions_.reserve(plan_.pages.size());
  if (plan_.pages.empty()) step_ = Step::kMoveLogStart;
}

PageNo CollectRound::page() const {
  SEXTANT_CHECK(at_ < plan_.pages.size());
  return plan_.pages[at_];
}

Lsn CollectRound::version() const {
  SEXTANT_CHECK(at_ < versions_.size());
  return versions_[at_];
}

void CollectRound::NextPage(Step then) {
  if (++at_ < plan_.pages.size()) return;
  at_ = 0;
  step_ = then;
}

absl::Status CollectRound::Made(Lsn version) {
  SEXTANT_CHECK(step_ == Step::kMakeVersion);
  if (version == Lsn() || version > plan_.through) {
    return absl::AbortedError(Text("page ", page(), " as of lsn ", plan_.through,
                                   " came out as of ", version, ": the log starts later by now"));
  }
  versions_.push_back(version);
  NextPage(Step::kFlush);
  return absl::OkStatus();
}

absl::Status CollectRound::ReadBack(const absl::Status& found) {
  SEXTANT_CHECK(step_ == Step::kReadBack);
  RETURN_IF_ERROR(found);
  NextPage(Step::kMoveLogStart);
  return absl::OkStatus();
}

void CollectRound::Done() {
  switch (step_) {
    case Step::kFlush:
      step_ = Step::kReadBack;
      return;
    case Step::kMoveLogStart:
      step_ = plan_.pages.empty() ? Step::kFinished : Step::kDropVersions;
      return;
    case Step::kDropVersions:
      return NextPage(Step::kFinished);
    default:
      SEXTANT_CHECK(false) << "step " << static_cast<int>(step_) << " is told of otherwise";
  }
}

}  // namespace sextant::storage
