// Facts: what a checker may look at. Checker: an observer that judges.
#pragma once

#include <vector>

#include "tests/simulation/check/durable_index.h"
#include "tests/simulation/check/history.h"
#include "tests/simulation/disk/sim_disk.h"

namespace sextant::simulation {

struct Facts {
  explicit Facts(Sim* sim) : sim(*sim), history(sim), index(sim, &history) {}

  Sim& sim;
  History history;
  DurableIndex index;
  volume::Geometry geometry;
  std::vector<const SimDisk*> disks;  // by node
  uint64_t lal = 0;
  uint64_t max_unacked_bytes = 0;
  uint64_t max_mtr_bytes = 0;
  bool is_beyond_budget = false;
};

class Checker : public Observer {
 public:
  explicit Checker(Facts* facts) : facts_(*facts), sim_(facts->sim) {}

 protected:
  Facts& facts_;
  Sim& sim_;
};

}  // namespace sextant::simulation
