// What the clients of a run wrote down: the histories, bank totals, and every answer's time.
#pragma once

#include <string>
#include <vector>

#include "fault/history/history.h"

namespace sextant::fault {

// One answered request, or one that was given up.
struct Sample {
  Nanos completed = 0;
  Nanos latency = 0;
  bool is_commit = false;  // it changed something; otherwise it only read
  Outcome outcome = Outcome::kCommitted;
};

// The sum over all accounts, as one transaction saw it.
struct BankTotal {
  Nanos invoked = 0, completed = 0;
  std::string node;
  int64_t total = 0;
};

struct LoadRecord {
  std::vector<ListTransaction> lists;
  std::vector<RegisterOp> registers;
  std::vector<BankTotal> totals;
  std::vector<Sample> samples;
  std::vector<std::string> stuck;  // clients that got no answer at all for minutes
};

// All anomalies of a record: both judges, and totals that are not `bank_total`.
std::vector<Anomaly> Judge(const LoadRecord& record, int64_t bank_total);

}  // namespace sextant::fault
