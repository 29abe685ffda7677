// See upkeep_runner.h.
#include "storage-node/server/upkeep_runner.h"

#include <utility>

#include "common/rpc/clock.h"

namespace sextant::storage {
namespace {

// While the committer is at work a step waits so long, in pauses, and no longer.
constexpr absl::Duration kMaxGiveWay = absl::Milliseconds(4);
constexpr absl::Duration kPause = absl::Microseconds(500);

}  // namespace

UpkeepRunner::UpkeepRunner(const UpkeepOptions& options,
                           std::vector<std::unique_ptr<UpkeepTask>> tasks,
                           std::function<bool()> is_busy)
    : options_(options),
      tasks_(std::move(tasks)),
      is_busy_(std::move(is_busy)),
      budget_(options.bytes_per_second),
      thread_([this] { Run(); }) {}

UpkeepRunner::~UpkeepRunner() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
    stopped_.notify_one();
  }
  thread_.join();
}

void UpkeepRunner::Run() {
  while (true) {
    const bool has_worked = WorkOnce();
    const Instant next = has_worked ? budget_.ready_at() : rpc::SteadyNow() + options_.interval;
    if (!SleepUntil(next)) return;
    GiveWay();
  }
}

bool UpkeepRunner::WorkOnce() {
  bool has_worked = false;
  for (const std::unique_ptr<UpkeepTask>& task : tasks_) {
    const UpkeepTask::Step step = task->Work(rpc::SteadyNow());
    if (step.is_idle) continue;
    has_worked = true;
    budget_.Spend(step.bytes, rpc::SteadyNow());
  }
  return has_worked;
}

void UpkeepRunner::GiveWay() {
  const Instant end = rpc::SteadyNow() + kMaxGiveWay;
  while (is_busy_() && rpc::SteadyNow() < end) {
    if (!SleepUntil(rpc::SteadyNow() + kPause)) return;
  }
}

bool UpkeepRunner::SleepUntil(Instant at) {
  std::unique_lock<std::mutex> lock(mutex_);
  const absl::Duration wait = at - rpc::SteadyNow();
  if (wait > absl::ZeroDuration()) {
    stopped_.wait_for(lock, absl::ToChronoMicroseconds(wait), [this] { return is_stopping_; });
  }
  return !is_stopping_;
}

}  // namespace sextant::storage
