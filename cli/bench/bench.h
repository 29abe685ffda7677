// Benchmarks of a running cluster: the log service alone, and SQL on it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/histogram.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::cli {

// What a SQL client does over and over; each is one transaction. docs/OPERATIONS.md, "Benchmarks".
enum class Workload { kUpsert, kRead, kInsert, kIndexedUpdate, kMix, kBatch };
// NOT_FOUND: there is none of that name, and which there are.
absl::StatusOr<Workload> WorkloadOf(std::string_view name);
std::string_view NameOf(Workload workload);
std::vector<std::string> WorkloadNames();

struct BenchOptions {
  std::string endpoint;
  int clients = 16;
  int streams = 0;  // log only: a SQL session is a stream; 0: one that all clients share
  double seconds = 10;
  double warmup_seconds = 2;
  uint32_t value_bytes = 0;               // of each edit or row
  uint64_t pages = 1024;                  // log: pages that are edited, the volume's last
  uint64_t rows = 10000;                  // sql: rows of the table
  Workload workload = Workload::kUpsert;  // sql
  double rate = 0;  // requests a second, of all clients; 0: as fast as they are answered
  uint32_t timeout_ms = 10000;
  std::function<void(bool begins)> on_measuring;  // may be empty; at both ends of what is measured
  uint64_t seed = 0;  // 0: drawn anew, since the same edits again would change nothing
};

struct BenchReport {
  std::string name;
  std::string unit = "commits";  // what is counted, or "reads"
  BenchOptions options;
  double seconds = 0;  // measured
  uint64_t commits = 0;
  uint64_t errors = 0;
  std::string first_error;
  Histogram latency_ns;
  // Counters of the compute node over the measured time.
  bool has_counters = false;
  v1::ComputeStatus before, after;
};

using BenchProgress = std::function<void(const std::string&)>;

// Appends mini-transactions of one edit of value_bytes at a random place of a random page, through
// VolumeService.AppendStream. Works on the volume's last pages, and refuses (FAILED_PRECONDITION)
// where a database reaches into them.
absl::StatusOr<BenchReport> RunLogBench(const BenchOptions& options, const BenchProgress& progress);

// Runs options.workload through one SqlService session a client, each transaction one request.
// In a table of its own, sextant_bench, which is made, filled and dropped.
absl::StatusOr<BenchReport> RunSqlBench(const BenchOptions& options, const BenchProgress& progress);

// What a commit cost, by the compute node's counters; all 0 where there are none.
struct CommitCosts {
  uint64_t commits = 0;  // by the compute node's own count
  double redo_bytes = 0, records = 0, sends_per_copy = 0, batches = 0, sent_bytes = 0;
};
CommitCosts CostsOf(const BenchReport& report);

std::string ReportToJson(const BenchReport& report);
std::string ReportToText(const BenchReport& report);

}  // namespace sextant::cli
