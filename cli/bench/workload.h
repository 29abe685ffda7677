// What each SQL workload asks for: its table, and the statements of one transaction.
#pragma once

#include <string>
#include <vector>

#include "cli/bench/bench.h"
#include "common/base/prng.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::cli {

inline constexpr uint64_t kRowsOfABatch = 100;

// Makes and fills sextant_bench, for a session that may take a while.
std::vector<std::string> SetUpStatements(const BenchOptions& options);
// Statements that insert what `columns`, expressions of the row's number i, give for 1 to `rows`.
// Each its own commit of a few thousand rows: one large one would leave them all in the cache.
std::vector<std::string> FillStatements(const std::string& table, const std::string& columns,
                                        uint64_t rows);

// Fills requests, one transaction each. Not thread-safe.
class WorkloadRequests {
 public:
  explicit WorkloadRequests(const BenchOptions& options);
  // `request` is empty, or what the last call filled: then only what changes is set.
  void Fill(v1::SqlRequest* request);

 private:
  void Build(v1::SqlRequest* request);
  void FillRow(v1::SqlStatement* statement);
  void FillMix(v1::SqlRequest* request);
  int64_t AnyRow();
  const std::string& AnyValue();

  const BenchOptions options_;
  Prng prng_;
  std::string value_;
};

}  // namespace sextant::cli
