// Random SQL on a volume and on plain SQLite in memory: the same answers, errors included.
//
// Several connections take turns on the volume, so that their caches, counters and snapshots are
// all exercised; the reference is one connection. Now and then the volume is forgotten down to its
// files: all connections are opened anew.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <vector>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "compute-node/sql/connection.h"
#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/query.h"

namespace sextant::sql {
namespace {

constexpr int kSeeds = 40;
constexpr int kSteps = 120;
constexpr size_t kConnections = 3;

class RandomSql {
 public:
  explicit RandomSql(uint64_t seed) : prng_(seed) {}

  // One statement, or a whole transaction; the same text leaves every database in the same state.
  std::string Next() {
    switch (prng_.Below(12)) {
      case 0:
        return Text("BEGIN; ", Change(), Change(), Change(),
                    prng_.OneIn(3) ? "ROLLBACK" : "COMMIT");
      case 1:
        return Text("BEGIN; ", Change(), "SAVEPOINT s; ", Change(), Change(), "ROLLBACK TO s; ",
                    Change(), "COMMIT");
      case 2:
        return Schema();
      case 3:
        return Text("SELECT a, count(*), sum(length(b)) FROM ", Table(),
                    " GROUP BY a % 7 ORDER BY 1");
      case 4:
        return prng_.OneIn(4) ? "VACUUM" : "PRAGMA user_version=" + Number(100);
      default:
        return Change();
    }
  }

 private:
  std::string Number(uint64_t bound) { return Text(prng_.Below(bound)); }
  std::string Table() { return "t" + Number(3); }
  std::string Value() {
    return Text("printf('%0", 1 + prng_.Below(900), "d', ", Number(1000), ")");
  }

  std::string Change() {
    const std::string table = Table();
    switch (prng_.Below(5)) {
      case 0:
        return Text("UPDATE ", table, " SET b = ", Value(), " WHERE id % ", 1 + prng_.Below(20),
                    " = 0;");
      case 1:
        return Text("DELETE FROM ", table, " WHERE id % ", 2 + prng_.Below(9), " = ", Number(3),
                    ";");
      case 2:  // now and then a conflict
        return Text("INSERT INTO ", table, " VALUES(", Number(400), ", ", Number(50), ", ", Value(),
                    ");");
      default:
        return Text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ",
                    1 + prng_.Below(30), ") INSERT OR REPLACE INTO ", table, " SELECT ",
                    Number(400), " + i, i * 7 % 50, ", Value(), " FROM n;");
    }
  }

  std::string Schema() {
    switch (prng_.Below(4)) {
      case 0:
        return Text("CREATE INDEX IF NOT EXISTS i", Number(3), " ON ", Table(), "(a)");
      case 1:
        return Text("DROP INDEX IF EXISTS i", Number(3));
      case 2:
        return Text("DROP TABLE IF EXISTS ", Table());
      default:
        return Text("CREATE TABLE IF NOT EXISTS ", Table(),
                    "(id INTEGER PRIMARY KEY, a INT, b TEXT)");
    }
  }

  Prng prng_;
};

const char* const kDigest =
    "SELECT * FROM sqlite_schema WHERE rootpage >= 0 AND name = 'none';"
    "SELECT name, sql FROM sqlite_schema ORDER BY name;"
    "PRAGMA user_version; PRAGMA integrity_check;";

class Digest : public ::testing::TestWithParam<int> {
 protected:
  Digest() {
    sqlite3_open(":memory:", &reference_);
    Reopen();
  }
  ~Digest() override { sqlite3_close(reference_); }

  void Reopen() {
    connections_.clear();
    for (size_t i = 0; i < kConnections; ++i) {
      auto connection = Connection::Open(vfs_, {.cache_kib = 64});
      ASSERT_TRUE(connection.ok()) << connection.status();
      connections_.push_back(*std::move(connection));
    }
  }
  std::string OnVolume(size_t which, const std::string& sql) {
    Connection& connection = *connections_[which];
    connection.file().SetHoldsTicket(true);
    std::string rows = Query(connection.db(), sql);
    connection.file().SetHoldsTicket(connection.in_write_transaction());
    return rows;
  }
  // A failed statement leaves its transaction open on both sides.
  void EndTransactions(size_t which) {
    if (connections_[which]->in_transaction()) OnVolume(which, "ROLLBACK");
    if (sqlite3_get_autocommit(reference_) == 0) Query(reference_, "ROLLBACK");
  }

  MemoryVolume volume_;
  VolumeVfs vfs_{&volume_};
  std::vector<std::unique_ptr<Connection>> connections_;
  sqlite3* reference_ = nullptr;
};

TEST_P(Digest, VolumeAnswersAsPlainSqliteDoes) {
  const uint64_t seed = static_cast<uint64_t>(GetParam());
  RandomSql random(seed);
  Prng prng(seed + 1000);
  for (int step = 0; step < kSteps; ++step) {
    const size_t which = prng.Below(kConnections);
    const std::string sql = random.Next();
    ASSERT_EQ(OnVolume(which, sql), Query(reference_, sql)) << "step " << step << ": " << sql;
    EndTransactions(which);
    if (prng.OneIn(10)) {
      const size_t reader = prng.Below(kConnections);
      ASSERT_EQ(OnVolume(reader, kDigest), Query(reference_, kDigest)) << "step " << step;
    }
    if (prng.OneIn(40)) Reopen();
  }
  for (const std::string table : {"t0", "t1", "t2"}) {
    const std::string all = Text("SELECT * FROM ", table, " ORDER BY id");
    EXPECT_EQ(OnVolume(0, all), Query(reference_, all));
  }
  EXPECT_EQ(OnVolume(1, kDigest), Query(reference_, kDigest));
}

INSTANTIATE_TEST_SUITE_P(Seeds, Digest, ::testing::Range(1, kSeeds + 1));

}  // namespace
}  // namespace sextant::sql
