// A history: what clients asked of a cluster and what they were told, to be judged afterwards.
// Core.
//
// Two workloads. List-append transactions read whole lists and append values that occur once, so
// the order of a list tells the order of the transactions that made it (Elle, VLDB'20, section 3).
// Registers are single reads and writes with their times. Who runs a workload writes down every
// transaction, also those whose outcome it never learnt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/log/lsn.h"

namespace sextant::fault {

enum class Outcome {
  kCommitted,
  kAborted,  // known to have had no effect
  kUnknown,  // may have committed, may yet
};

// Nanoseconds of the observer's monotonic clock.
using Nanos = int64_t;
inline constexpr Nanos kNever = INT64_MAX;

// One step of a list-append transaction.
struct ListOp {
  int64_t key = 0;
  // Set: this value was appended. Not set: `list` was read.
  std::optional<int64_t> appended;
  std::vector<int64_t> list;

  static ListOp Append(int64_t key, int64_t value) { return {key, value, {}}; }
  static ListOp Read(int64_t key, std::vector<int64_t> list) { return {key, {}, std::move(list)}; }
};

struct ListTransaction {
  // Transactions of one session follow one another, and none may see less than the one before.
  int session = 0;
  std::string node;  // that answered; for messages
  Nanos invoked = 0;
  Nanos completed = kNever;  // kNever: unknown outcome
  Outcome outcome = Outcome::kUnknown;
  // On the writer's endpoint: sees everything that completed before it began. A reader promises a
  // published snapshot and the session's order, no more.
  bool is_strict = true;
  Lsn lsn;  // of the commit, or of the snapshot it read; {0}: not told
  // False: of the newest commit when its answer was made, so it saw nothing above and perhaps less
  // (the traditional path, whose tokens are no snapshots).
  bool is_lsn_exact = true;
  std::vector<ListOp> ops;
};

struct RegisterOp {
  int64_t key = 0;
  bool is_write = false;
  int64_t value = 0;  // written or read; an unwritten register reads kUnwritten
  Nanos invoked = 0;
  Nanos completed = kNever;  // kNever: a write of unknown outcome
};
inline constexpr int64_t kUnwritten = 0;

// What is wrong with a history.
struct Anomaly {
  // Adya's names where there is one: "G0", "G1a", "G1b", "G1c", "G-single", "G2", with "-session"
  // or
  // "-realtime" where the cycle needs such an edge; else "internal", "incompatible-order", ...
  std::string kind;
  std::string detail;  // the transactions or operations, and what they saw
};

}  // namespace sextant::fault
