// Each workload's statements, run by SQLite itself: they are valid, and change what they say.
#include "cli/bench/workload.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

namespace sextant::cli {
namespace {

class Database {
 public:
  Database() { EXPECT_EQ(sqlite3_open(":memory:", &db_), SQLITE_OK); }
  ~Database() { sqlite3_close(db_); }

  void Run(const std::string& sql) {
    ASSERT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(db_);
  }
  void Run(const v1::SqlStatement& statement) {
    sqlite3_stmt* stmt = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(db_, statement.sql().c_str(), -1, &stmt, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db_);
    EXPECT_EQ(sqlite3_bind_parameter_count(stmt), statement.parameters_size());
    for (int i = 0; i < statement.parameters_size(); ++i) {
      const v1::SqlValue& value = statement.parameters(i);
      if (value.kind_case() == v1::SqlValue::kInteger) {
        sqlite3_bind_int64(stmt, i + 1, value.integer());
      } else {
        ASSERT_EQ(value.kind_case(), v1::SqlValue::kBlob) << statement.sql();
        sqlite3_bind_blob(stmt, i + 1, value.blob().data(), static_cast<int>(value.blob().size()),
                          SQLITE_TRANSIENT);
      }
    }
    int step = SQLITE_ROW;
    while (step == SQLITE_ROW) step = sqlite3_step(stmt);
    EXPECT_EQ(step, SQLITE_DONE) << statement.sql() << ": " << sqlite3_errmsg(db_);
    changes_ += sqlite3_stmt_readonly(stmt) != 0 ? 0 : sqlite3_changes(db_);
    sqlite3_finalize(stmt);
  }
  int64_t Rows() {
    sqlite3_stmt* stmt = nullptr;
    sqlite3_prepare_v2(db_, "SELECT count(*) FROM sextant_bench", -1, &stmt, nullptr);
    sqlite3_step(stmt);
    const int64_t rows = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rows;
  }
  int changes() const { return changes_; }

 private:
  sqlite3* db_ = nullptr;
  int changes_ = 0;
};

struct Expected {
  Workload workload;
  int statements = 1;
  int changes = 0;  // of one transaction
  int new_rows = 0;
};

TEST(Workloads, DoWhatTheySay) {
  constexpr int kTransactions = 20;
  for (const Expected& expected : std::initializer_list<Expected>{
           {Workload::kUpsert, 1, 1, 0},
           {Workload::kRead, 1, 0, 0},
           {Workload::kInsert, 1, 1, 1},
           {Workload::kIndexedUpdate, 1, 1, 0},
           {Workload::kMix, 18, 4, 0},
           {Workload::kBatch, 100, 100, 0},
       }) {
    SCOPED_TRACE(std::string(NameOf(expected.workload)));
    BenchOptions options{.value_bytes = 64, .rows = 6000, .workload = expected.workload, .seed = 7};
    Database database;
    for (const std::string& sql : SetUpStatements(options)) database.Run(sql);
    WorkloadRequests requests(options);
    v1::SqlRequest request;
    for (int i = 0; i < kTransactions; ++i) {
      requests.Fill(&request);
      ASSERT_EQ(request.statements_size(), expected.statements);
      for (const v1::SqlStatement& statement : request.statements()) database.Run(statement);
    }
    EXPECT_EQ(request.atomic(), expected.statements > 1);
    EXPECT_EQ(database.changes(), kTransactions * expected.changes);
    EXPECT_EQ(database.Rows(), 6000 + kTransactions * expected.new_rows);
  }
}

TEST(Workloads, AreKnownByName) {
  for (const std::string& name : WorkloadNames()) EXPECT_EQ(NameOf(*WorkloadOf(name)), name);
  EXPECT_FALSE(WorkloadOf("delete").ok());
}

}  // namespace
}  // namespace sextant::cli
