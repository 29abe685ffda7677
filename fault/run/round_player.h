// RoundPlayer: one round: load, faults, mending, the last read, the judgement. Internal to run/.
#pragma once

#include <memory>
#include <string>

#include "fault/cluster/fault_cluster.h"
#include "fault/load/load.h"
#include "fault/report/live_line.h"
#include "fault/report/round.h"
#include "fault/run/run.h"

namespace sextant::fault {

class RoundPlayer {
 public:
  RoundPlayer(const Scenario& scenario, const RunOptions& options, FaultCluster* cluster,
              LoadOptions load);

  // UNAVAILABLE and the like: the harness could not go on; what is in round() is part of the truth.
  absl::Status Play(int number, uint64_t seed);

  const Round& round() const { return round_; }
  const Load& load() const { return load_; }
  uint32_t checksum() const { return checksum_; }  // of all that was read at the end

 private:
  absl::Status PlayFaults(const Plan& plan);
  absl::Status DoMoment(const Plan& plan, const Moment& moment);
  // Waits until `counter` has grown by `more`; otherwise what was promised is broken: an anomaly.
  void Expect(const char* kind, int64_t (Load::*counter)() const, int64_t more);
  void ExpectPromises();
  absl::Duration Patience() const;
  void FinishAndJudge();
  void CompareCopies();
  // No commit was answered while the faults of a step lasted, where none can be.
  void CheckCommitsWaited();
  void CheckProcesses();
  void Complain(std::string kind, std::string detail);

  const Scenario& scenario_;
  const RunOptions& options_;
  FaultCluster* const cluster_;
  Load load_;
  std::unique_ptr<LiveLine> live_;
  Round round_;
  uint32_t checksum_ = 0;
};

}  // namespace sextant::fault
