// Witness: what the database must at least hold, said apart from it. Core.
//
// A log cannot say that it lost its own end, nor a database that it lost its last commits. So a
// storage node keeps the states of its segments (their promises) and the high-water marks of their
// logs a second time, outside the database, in two small files (witness_files.h). After a restart
// the two are reconciled: what the witness has seen and the database does not hold is damage, never
// absence ("Protocol-Aware Recovery", FAST'18), and a promise stands if either remembers it.
//
// States are in the witness before the Commit that changes them returns. Marks follow within 100
// ms: a log end that is damaged on the disk within that time before a crash looks absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

struct Witness {
  uint64_t sequence = 0;  // of the copy: rises with each time that one is written
  uint64_t version = 0;   // of the states: rises with each Commit that changes or drops any
  std::map<SegmentId, SegmentState> states;
  std::map<SegmentId, LogHighWater> marks;

  // Takes a write in that the database holds.
  void Apply(const StoreWrite& write);
  void RaiseMark(const LogHighWater& mark);
};

// Whether a write changes or drops a state.
bool ChangesStates(const StoreWrite& write);

std::string EncodeWitness(const Witness& witness);
// DATA_LOSS: damaged. FAILED_PRECONDITION: of another format. Bytes that follow are left alone.
absl::StatusOr<Witness> DecodeWitness(std::string_view bytes);

// What the database says. DATA_LOSS: that part of it cannot be read.
struct DatabaseContents {
  absl::StatusOr<uint64_t> version = 0;  // of the last write that changed states
  absl::StatusOr<std::map<SegmentId, SegmentState>> states;
  absl::StatusOr<std::map<SegmentId, LogHighWater>> marks;
};

struct Reconciled {
  Witness contents;  // what holds from now on
  // In this order the database is brought in line: segments to drop, then all states and marks.
  std::vector<SegmentId> dropped_segments;
  bool is_database_behind = false;
  std::vector<std::string> losses;  // for the log; a person must look
};

// `witness`: DATA_LOSS if neither of its files can be read. Then no log is trusted to be whole: the
// marks become kUnknownScl. DATA_LOSS: neither side can say which segments there are.
absl::StatusOr<Reconciled> Reconcile(const DatabaseContents& database,
                                     const absl::StatusOr<Witness>& witness);

}  // namespace sextant::storage
