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
#include "compute-node/sql/testing/random_sql.h"

namespace sextant::sql {
namespace {

constexpr int kSeeds = 40;
constexpr int kSteps = 120;
constexpr size_t kConnections = 3;

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
      ASSERT_EQ(OnVolume(reader, kDatabaseDigest), Query(reference_, kDatabaseDigest))
          << "step " << step;
    }
    if (prng.OneIn(40)) Reopen();
  }
  for (const std::string table : {"t0", "t1", "t2"}) {
    const std::string all = Text("SELECT * FROM ", table, " ORDER BY id");
    EXPECT_EQ(OnVolume(0, all), Query(reference_, all));
  }
  EXPECT_EQ(OnVolume(1, kDatabaseDigest), Query(reference_, kDatabaseDigest));
}

INSTANTIATE_TEST_SUITE_P(Seeds, Digest, ::testing::Range(1, kSeeds + 1));

}  // namespace
}  // namespace sextant::sql
