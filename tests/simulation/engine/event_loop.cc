// See event_loop.h.
#include "tests/simulation/engine/event_loop.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace sextant::simulation {

ProcessId EventLoop::AddProcess(absl::Duration clock_offset, double clock_rate) {
  processes_.push_back({.clock_offset = clock_offset, .clock_rate = clock_rate});
  return ProcessId(static_cast<uint32_t>(processes_.size() - 1));
}

Instant EventLoop::LocalNow(ProcessId process) const {
  const Process& p = processes_[process.value()];
  return Instant() + p.clock_offset + (now_ - Instant()) * p.clock_rate;
}

void EventLoop::At(Instant when, ProcessId owner, uint32_t life, Task task) {
  uint32_t slot = static_cast<uint32_t>(slots_.size());
  if (free_slots_.empty()) {
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot] = {owner, life, std::move(task)};
  Push(std::max(when, now_).nanos(), slot);
}

void EventLoop::Push(int64_t nanos, uint32_t slot) {
  heap_.push_back({nanos, next_sequence_++, slot});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void EventLoop::Start(ProcessId process) {
  Process& p = processes_[process.value()];
  ++p.life;
  p.is_up = true;
  p.paused_until = now_;
}

void EventLoop::Kill(ProcessId process) {
  Process& p = processes_[process.value()];
  ++p.life;
  p.is_up = false;
}

void EventLoop::Pause(ProcessId process, absl::Duration time) {
  Process& p = processes_[process.value()];
  p.paused_until = std::max(p.paused_until, now_ + time);
}

void EventLoop::RunUntil(Instant end) {
  while (!is_stopped_ && !heap_.empty() && heap_.front().nanos <= end.nanos()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const Key key = heap_.back();
    heap_.pop_back();
    now_ = Instant::FromNanos(key.nanos);
    Dispatch(key.slot);
  }
  if (!is_stopped_) now_ = std::max(now_, end);
}

void EventLoop::Dispatch(uint32_t slot) {
  const ProcessId owner = slots_[slot].owner;
  const Process& process = processes_[owner.value()];
  const bool is_alive = process.is_up && slots_[slot].life == process.life;
  if (is_alive && process.paused_until > now_) {
    Push(process.paused_until.nanos(), slot);  // in the order in which they came due
    return;
  }
  Task task = std::move(slots_[slot].task);
  free_slots_.push_back(slot);
  if (!is_alive) return;
  ++events_;
  Mix(static_cast<uint64_t>(now_.nanos()) << 4 ^ owner.value());
  task();
}

}  // namespace sextant::simulation
