// EventLoop: simulated time, and whose turn it is. One thread, one order, the same for a seed.
//
// Events belong to a process. A process that was killed gets none of its old events any more; one
// that is paused (SIGSTOP) gets them all, in order, when it goes on, with a clock that jumped.
// Everything that happens goes into a hash, so that two runs of a seed can be compared.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/strong_int.h"
#include "tests/simulation/engine/task.h"

namespace sextant::simulation {

using ProcessId = StrongInt<struct ProcessIdTag, uint32_t>;

// Owner of what is no process's: the network, the disks, the plan of faults. Never paused.
inline constexpr ProcessId kWorld{0};

class EventLoop {
 public:
  EventLoop() { processes_.push_back({.is_up = true}); }

  // A process, down for now. `clock_offset`: what its clock shows at the start; `clock_rate` how
  // fast it goes: no two processes agree on the time.
  ProcessId AddProcess(absl::Duration clock_offset, double clock_rate);

  // --- time
  Instant now() const { return now_; }
  Instant LocalNow(ProcessId process) const;

  // --- events. One of a process that is killed meanwhile is dropped.
  void After(absl::Duration delay, ProcessId owner, Task task) {
    At(now_ + delay, owner, life(owner), std::move(task));
  }
  // For answers: of the life in which the question was asked.
  void At(Instant when, ProcessId owner, uint32_t life, Task task);
  uint32_t life(ProcessId process) const { return processes_[process.value()].life; }

  // --- processes: down until started
  void Start(ProcessId process);
  void Kill(ProcessId process);
  bool IsUp(ProcessId process) const { return processes_[process.value()].is_up; }
  void Pause(ProcessId process, absl::Duration time);
  bool IsPaused(ProcessId process) const { return processes_[process.value()].paused_until > now_; }

  // Runs events until `end`, or until Stop().
  void RunUntil(Instant end);
  void Stop() { is_stopped_ = true; }
  bool is_stopped() const { return is_stopped_; }

  // --- the trace
  void Mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15 + (hash_ >> 29); }
  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }

 private:
  struct Process {
    bool is_up = false;
    uint32_t life = 0;
    Instant paused_until;
    absl::Duration clock_offset;
    double clock_rate = 1;
  };
  // What the heap moves about; the rest of an event stays in its slot.
  struct Key {
    int64_t nanos;
    uint64_t sequence;  // first come, first served among equals
    uint32_t slot;
    bool operator>(const Key& other) const {
      return nanos != other.nanos ? nanos > other.nanos : sequence > other.sequence;
    }
  };
  struct Event {
    ProcessId owner;
    uint32_t life = 0;
    Task task;
  };
  void Push(int64_t nanos, uint32_t slot);
  void Dispatch(uint32_t slot);

  Instant now_;
  std::vector<Process> processes_;
  std::vector<Key> heap_;
  std::vector<Event> slots_;
  std::vector<uint32_t> free_slots_;
  uint64_t next_sequence_ = 0;
  uint64_t events_ = 0;
  uint64_t hash_ = 0x243f6a8885a308d3;
  bool is_stopped_ = false;
};

}  // namespace sextant::simulation
