// Random SQL on the whole thing in one process, six storage nodes and a writer, against plain
// SQLite.
//
// The page cache is far too small and the protection groups are tiny, so that most reads go to
// segments and transactions span groups. A node dies on the way, the writer more than once.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "common/base/prng.h"
#include "compute-node/sql/connection.h"
#include "compute-node/sql/testing/query.h"
#include "compute-node/sql/testing/random_sql.h"
#include "embedded/embedded_cluster.h"

namespace sextant::embedded {
namespace {

constexpr int kSeeds = 8;
constexpr int kSteps = 120;
constexpr int kNodeDiesAt = 50;
constexpr size_t kConnections = 3;
constexpr absl::Duration kPatience = absl::Seconds(30);

class SqlOnVolume : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    auto cluster = EmbeddedCluster::Create(
        {.geometry = {.page_bytes = 4096, .pages_per_pg = 64, .pg_count = 32},
         .adjust_writer = [](compute::WriterVolumeOptions* o) { o->page_cache_bytes = 200'000; }});
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    ASSERT_TRUE(cluster_->StartNodes().ok());
    ASSERT_EQ(cluster_->StartWriter(kPatience), absl::OkStatus());
    sqlite3_open(":memory:", &reference_);
    OpenSql();
  }
  void TearDown() override {
    CloseSql();
    sqlite3_close(reference_);
  }
  void OpenSql() {
    vfs_ = std::make_unique<sql::VolumeVfs>(&cluster_->writer());
    for (size_t i = 0; i < kConnections; ++i) {
      auto connection = sql::Connection::Open(*vfs_, {.cache_kib = 64});
      ASSERT_TRUE(connection.ok()) << connection.status();
      (*connection)->file().SetHoldsTicket(true);
      connections_.push_back(*std::move(connection));
    }
  }
  void CloseSql() {
    connections_.clear();
    vfs_.reset();
  }
  void RestartWriter() {
    CloseSql();
    ASSERT_EQ(cluster_->writer().Drain(kPatience), absl::OkStatus());
    cluster_->KillWriter();
    ASSERT_EQ(cluster_->StartWriter(kPatience), absl::OkStatus());
    OpenSql();
  }
  std::unique_ptr<EmbeddedCluster> cluster_;
  std::unique_ptr<sql::VolumeVfs> vfs_;
  std::vector<std::unique_ptr<sql::Connection>> connections_;
  sqlite3* reference_ = nullptr;
};

TEST_P(SqlOnVolume, AnswersAsPlainSqliteDoes) {
  const auto seed = static_cast<uint64_t>(GetParam());
  sql::RandomSql random(seed);
  Prng prng(seed + 1000);
  for (int step = 0; step < kSteps; ++step) {
    sqlite3* const db = connections_[prng.Below(kConnections)]->db();
    const std::string sql = random.Next();
    ASSERT_EQ(sql::Query(db, sql), sql::Query(reference_, sql)) << "step " << step << ": " << sql;
    // A failed statement leaves its transaction open on both sides.
    if (sqlite3_get_autocommit(db) == 0) sql::Query(db, "ROLLBACK");
    if (sqlite3_get_autocommit(reference_) == 0) sql::Query(reference_, "ROLLBACK");
    if (step == kNodeDiesAt) cluster_->KillNode(EmbeddedCluster::Members()[prng.Below(6)].node);
    if (prng.OneIn(30)) RestartWriter();
  }
  sqlite3* const db = connections_[0]->db();
  for (const std::string table : {"t0", "t1", "t2"}) {
    const std::string all = Text("SELECT * FROM ", table, " ORDER BY id");
    EXPECT_EQ(sql::Query(db, all), sql::Query(reference_, all));
  }
  EXPECT_EQ(sql::Query(db, sql::kDatabaseDigest), sql::Query(reference_, sql::kDatabaseDigest));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SqlOnVolume, ::testing::Range(1, kSeeds + 1));

}  // namespace
}  // namespace sextant::embedded
