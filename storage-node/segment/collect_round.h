// CollectRound is a state machine: one round of collection, in an order that a crash may cut. Core.
//
// docs/PROTOCOL.md, "Collection". First a version of every page of the plan is made and kept, then
// all are flushed, then each is read back (a lost or misdirected write must be found while the log
// can still replace it); only then may the log begin at `through`, and only when that is durable do
// older versions go. Whatever the round was cut short at, everything it relied on is still there,
// and the next round does it again. Any error ends the round.
//
// The shell carries out `step()` on `page()` and tells of it; one page at a time, so that it can
// pause in between.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "storage-node/segment/segment.h"

namespace sextant::storage {

class CollectRound {
 public:
  enum class Step {
    kMakeVersion,   // of page() as of through(): Segment::PlanVersion, PageFold, WritePage; Made()
    kFlush,         // FlushPages; Done()
    kReadBack,      // ReadBackPage(page() at version(), through()); ReadBack()
    kMoveLogStart,  // Segment::MoveLogStart(to()); Done() once it was answered OK
    kDropVersions,  // DropPageVersions(page(), version()); Done()
    kFinished,
  };

  explicit CollectRound(CollectPlan plan);

  Step step() const { return step_; }
  PageNo page() const;  // of the step
  Lsn version() const;  // that was made of page()
  Lsn through() const { return plan_.through; }
  LogStart to() const { return {.lsn = plan_.through}; }
  size_t page_count() const { return plan_.pages.size(); }

  // The version made is of this LSN. ABORTED: it cannot be one as of through(), the log starts
  // later by now (a rebuild came to its end); the round must end.
  absl::Status Made(Lsn version);
  // What ReadBackPage found. An error (returned as it came): the version that was made is not
  // there; the round must end.
  absl::Status ReadBack(const absl::Status& found);
  void Done();

 private:
  void NextPage(Step then);

  CollectPlan plan_;
  Step step_ = Step::kMakeVersion;
  size_t at_ = 0;              // in plan_.pages
  std::vector<Lsn> versions_;  // of those made, in the plan's order
};

}  // namespace sextant::storage
