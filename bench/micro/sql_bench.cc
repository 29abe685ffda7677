// What SQL costs on one thread through the VFS: statements on a volume in memory, no network, no
// disk. redo_B is redo a transaction, as the log encodes it; goals: SQLite on a volume,
// docs/SQL.md.
#include <benchmark/benchmark.h>

#include <future>
#include <string>

#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/sql/connection.h"
#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/query.h"
#include "compute-node/sql/testing/sql_client.h"

namespace sextant::sql {
namespace {

constexpr int kRows = 20000;

// sysbench's table, one connection that holds the write ticket throughout.
class Table {
 public:
  Table() : connection_(*Connection::Open(vfs_, {})) {
    connection_->file().SetHoldsTicket(true);
    Query(connection_->db(),
          Text("CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60));"
               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ",
               kRows, ") INSERT INTO t SELECT i, i * 7 % ", kRows,
               ", printf('%0119d', i), printf('%059d', i) FROM n; CREATE INDEX tk ON t(k);"));
  }
  sqlite3* db() { return connection_->db(); }
  MemoryVolume& volume() { return volume_; }

 private:
  MemoryVolume volume_{{.pages = 65536}};
  VolumeVfs vfs_{&volume_};
  std::unique_ptr<Connection> connection_;
};

// Runs one prepared statement with ?1 = a row's number.
void RunForRows(benchmark::State& state, const std::string& sql) {
  Table table;
  sqlite3_stmt* stmt = nullptr;
  SEXTANT_CHECK(sqlite3_prepare_v2(table.db(), sql.c_str(), -1, &stmt, nullptr) == SQLITE_OK);
  const MemoryVolume::Counters before = table.volume().counters();
  int64_t row = 0;
  for (auto _ : state) {
    row = (row + 7919) % kRows;
    sqlite3_bind_int64(stmt, 1, row + 1);
    while (sqlite3_step(stmt) == SQLITE_ROW) benchmark::DoNotOptimize(sqlite3_column_text(stmt, 0));
    SEXTANT_CHECK(sqlite3_reset(stmt) == SQLITE_OK) << sqlite3_errmsg(table.db());
  }
  sqlite3_finalize(stmt);
  const MemoryVolume::Counters after = table.volume().counters();
  state.counters["redo_B"] = static_cast<double>(after.redo_bytes - before.redo_bytes) /
                             static_cast<double>(state.iterations());
}

void BM_PointSelect(benchmark::State& state) { RunForRows(state, "SELECT c FROM t WHERE id = ?1"); }
BENCHMARK(BM_PointSelect);

void BM_Update(benchmark::State& state) {
  RunForRows(state, "UPDATE t SET c = hex(randomblob(59)) || 'x' WHERE id = ?1");
}
BENCHMARK(BM_Update);

void BM_IndexedUpdate(benchmark::State& state) {
  RunForRows(state, "UPDATE t SET k = k + 1 WHERE id = ?1");
}
BENCHMARK(BM_IndexedUpdate);

void BM_Insert(benchmark::State& state) {
  RunForRows(state,
             "INSERT INTO t(k, c, pad) VALUES(?1, hex(randomblob(59)), hex(randomblob(29)))");
}
BENCHMARK(BM_Insert);

// One request through a session: pool, coroutine, prepared statement from the cache, response.
void BM_SessionPointSelect(benchmark::State& state) {
  MemoryVolume volume;
  compute::WriteTicketQueue tickets;
  SqlExecutor executor(&volume, &tickets, {.threads = 1});
  SqlClient client(executor);
  client.Script("CREATE TABLE t(id INTEGER PRIMARY KEY, c); INSERT INTO t VALUES(1, 'one')");
  for (auto _ : state) {
    Request request;
    request.statements.push_back(
        {.sql = "SELECT c FROM t WHERE id = ?", .parameters = {int64_t{1}}});
    benchmark::DoNotOptimize(client.Run(std::move(request)));
  }
}
BENCHMARK(BM_SessionPointSelect)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace sextant::sql
