// See workload.h.
#include "cli/bench/workload.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

constexpr std::array<std::pair<Workload, std::string_view>, 6> kNames = {{
    {Workload::kUpsert, "upsert"},
    {Workload::kRead, "read"},
    {Workload::kInsert, "insert"},
    {Workload::kIndexedUpdate, "indexed-update"},
    {Workload::kMix, "mix"},
    {Workload::kBatch, "batch"},
}};

constexpr char kUpsert[] =
    "INSERT INTO sextant_bench(id, value) VALUES(?1, ?2) "
    "ON CONFLICT(id) DO UPDATE SET value = excluded.value";
constexpr char kSelect[] = "SELECT value FROM sextant_bench WHERE id = ?1";
constexpr char kInsert[] = "INSERT INTO sextant_bench(value) VALUES(?1)";
constexpr char kIndexedUpdate[] = "UPDATE sextant_bench SET k = ?2 WHERE id = ?1";

// As sysbench's oltp_read_write: ten point selects, four ranges of a hundred rows, an indexed
// update, another one, a row deleted and put back.
constexpr int kPointSelects = 10;
constexpr int64_t kRangeRows = 100;
constexpr const char* kRanges[] = {
    "SELECT value FROM sextant_bench WHERE id BETWEEN ?1 AND ?2",
    "SELECT sum(k) FROM sextant_bench WHERE id BETWEEN ?1 AND ?2",
    "SELECT value FROM sextant_bench WHERE id BETWEEN ?1 AND ?2 ORDER BY value",
    "SELECT DISTINCT value FROM sextant_bench WHERE id BETWEEN ?1 AND ?2 ORDER BY value",
};
constexpr char kUpdate[] = "UPDATE sextant_bench SET value = ?2 WHERE id = ?1";
constexpr char kDelete[] = "DELETE FROM sextant_bench WHERE id = ?1";
constexpr char kPutBack[] = "INSERT INTO sextant_bench(id, k, value) VALUES(?1, ?2, ?3)";

bool HasIndex(Workload workload) {
  return workload == Workload::kIndexedUpdate || workload == Workload::kMix;
}

v1::SqlStatement* AddStatement(v1::SqlRequest* request, const char* sql, int parameters) {
  v1::SqlStatement* statement = request->add_statements();
  statement->set_sql(sql);
  for (int i = 0; i < parameters; ++i) statement->add_parameters();
  return statement;
}

}  // namespace

std::string_view NameOf(Workload workload) {
  return std::find_if(kNames.begin(), kNames.end(),
                      [&](const auto& entry) { return entry.first == workload; })
      ->second;
}

std::vector<std::string> WorkloadNames() {
  std::vector<std::string> names;
  for (const auto& [workload, name] : kNames) names.emplace_back(name);
  return names;
}

absl::StatusOr<Workload> WorkloadOf(std::string_view name) {
  for (const auto& [workload, its_name] : kNames) {
    if (its_name == name) return workload;
  }
  return absl::NotFoundError(Text("no workload ", std::string(name), "; there are ",
                                  std::string(absl::StrJoin(WorkloadNames(), ", "))));
}

std::vector<std::string> FillStatements(const std::string& table, const std::string& columns,
                                        uint64_t rows) {
  constexpr uint64_t kRowsAtOnce = 5000;
  std::vector<std::string> statements;
  for (uint64_t first = 1; first <= rows; first += kRowsAtOnce) {
    statements.push_back(Text("WITH RECURSIVE n(i) AS (SELECT ", first,
                              " UNION ALL SELECT i + 1 FROM n WHERE i < ",
                              std::min(rows, first + kRowsAtOnce - 1), ") INSERT INTO ", table,
                              " SELECT ", columns, " FROM n"));
  }
  return statements;
}

std::vector<std::string> SetUpStatements(const BenchOptions& options) {
  const std::string value = Text("randomblob(", options.value_bytes, ")");
  std::vector<std::string> statements = {"DROP TABLE IF EXISTS sextant_bench"};
  const auto fill = [&](const std::string& columns) {
    for (std::string& statement : FillStatements("sextant_bench", columns, options.rows)) {
      statements.push_back(std::move(statement));
    }
  };
  if (HasIndex(options.workload)) {
    statements.push_back(
        "CREATE TABLE sextant_bench(id INTEGER PRIMARY KEY, k INTEGER NOT NULL, value BLOB)");
    fill(Text("i, abs(random()) % ", options.rows, ", ", value));
    statements.push_back("CREATE INDEX sextant_bench_k ON sextant_bench(k)");
  } else {
    statements.push_back("CREATE TABLE sextant_bench(id INTEGER PRIMARY KEY, value BLOB)");
    fill(Text("i, ", value));
  }
  return statements;
}

WorkloadRequests::WorkloadRequests(const BenchOptions& options)
    : options_(options), prng_(options.seed), value_(options.value_bytes, '\0') {}

int64_t WorkloadRequests::AnyRow() { return static_cast<int64_t>(1 + prng_.Below(options_.rows)); }

const std::string& WorkloadRequests::AnyValue() {
  for (char& c : value_) c = static_cast<char>(prng_.Next());
  return value_;
}

void WorkloadRequests::Build(v1::SqlRequest* request) {
  request->set_timeout_ms(options_.timeout_ms);
  switch (options_.workload) {
    case Workload::kUpsert:
      AddStatement(request, kUpsert, 2);
      break;
    case Workload::kRead:
      AddStatement(request, kSelect, 1);
      break;
    case Workload::kInsert:
      AddStatement(request, kInsert, 1);
      break;
    case Workload::kIndexedUpdate:
      AddStatement(request, kIndexedUpdate, 2);
      break;
    case Workload::kBatch:
      request->set_atomic(true);
      for (uint64_t i = 0; i < kRowsOfABatch; ++i) AddStatement(request, kUpsert, 2);
      break;
    case Workload::kMix:
      request->set_atomic(true);
      for (int i = 0; i < kPointSelects; ++i) AddStatement(request, kSelect, 1);
      for (const char* range : kRanges) AddStatement(request, range, 2);
      AddStatement(request, kIndexedUpdate, 2);
      AddStatement(request, kUpdate, 2);
      AddStatement(request, kDelete, 1);
      AddStatement(request, kPutBack, 3);
      break;
  }
}

// The row, then its new value, as far as the statement takes them.
void WorkloadRequests::FillRow(v1::SqlStatement* statement) {
  statement->mutable_parameters(0)->set_integer(AnyRow());
  if (statement->parameters_size() > 1) statement->mutable_parameters(1)->set_blob(AnyValue());
}

void WorkloadRequests::FillMix(v1::SqlRequest* request) {
  int at = 0;
  const auto next = [&] { return request->mutable_statements(at++); };
  for (int i = 0; i < kPointSelects; ++i) FillRow(next());
  for (size_t i = 0; i < std::size(kRanges); ++i) {
    v1::SqlStatement* range = next();
    const int64_t first = AnyRow();
    range->mutable_parameters(0)->set_integer(first);
    range->mutable_parameters(1)->set_integer(first + kRangeRows - 1);
  }
  v1::SqlStatement* indexed = next();
  indexed->mutable_parameters(0)->set_integer(AnyRow());
  indexed->mutable_parameters(1)->set_integer(AnyRow());
  FillRow(next());
  const int64_t moved = AnyRow();
  next()->mutable_parameters(0)->set_integer(moved);
  v1::SqlStatement* put_back = next();
  put_back->mutable_parameters(0)->set_integer(moved);
  put_back->mutable_parameters(1)->set_integer(AnyRow());
  put_back->mutable_parameters(2)->set_blob(AnyValue());
}

void WorkloadRequests::Fill(v1::SqlRequest* request) {
  if (request->statements_size() == 0) Build(request);
  switch (options_.workload) {
    case Workload::kInsert:
      request->mutable_statements(0)->mutable_parameters(0)->set_blob(AnyValue());
      break;
    case Workload::kIndexedUpdate:
      request->mutable_statements(0)->mutable_parameters(0)->set_integer(AnyRow());
      request->mutable_statements(0)->mutable_parameters(1)->set_integer(AnyRow());
      break;
    case Workload::kMix:
      FillMix(request);
      break;
    default:
      for (v1::SqlStatement& statement : *request->mutable_statements()) FillRow(&statement);
  }
}

}  // namespace sextant::cli
