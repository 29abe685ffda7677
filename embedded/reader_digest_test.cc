// Readers under a mixed SQL load: at the same LSN every table has the same contents on the writer
// and on every reader, and every view is a whole transaction.
//
// Page caches are far too small and protection groups tiny, so that pages come from the cache, from
// redo and from segments. One reader is paused and cut off now and then, so that it jumps.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "common/base/text.h"
#include "compute-node/sql/connection.h"
#include "compute-node/sql/testing/query.h"
#include "compute-node/sql/testing/random_sql.h"
#include "embedded/embedded_cluster.h"

namespace sextant::embedded {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kTransactions = 4000;
constexpr char kSchemaAndHealth[] =
    "BEGIN; SELECT name, sql FROM sqlite_schema ORDER BY name; PRAGMA user_version; "
    "PRAGMA integrity_check; ";

// In one transaction. A table that is not there says so, in a digest as well.
size_t DigestOf(sql::Connection& connection) {
  std::string all = sql::Query(connection.db(), kSchemaAndHealth);
  for (const char* table : {"t0", "t1", "t2"}) {
    all += sql::Query(connection.db(), Text("SELECT * FROM ", table, " ORDER BY id"));
  }
  sql::Query(connection.db(), "ROLLBACK");
  return std::hash<std::string>()(all);
}

// What a reader saw, by read point.
struct Sighting {
  Lsn at;
  size_t digest;
};

class ReaderDigest : public ::testing::Test {
 protected:
  void SetUp() override {
    EmbeddedOptions options;
    options.geometry = {.page_bytes = 4096, .pages_per_pg = 64, .pg_count = 32};
    options.adjust_writer = [](compute::WriterVolumeOptions* o) {
      o->page_cache_bytes = 400'000;
      o->redo_ring_bytes = 300'000;
    };
    options.adjust_reader = [](compute::ReaderVolumeOptions* o) { o->page_cache_bytes = 300'000; };
    auto cluster = EmbeddedCluster::Create(std::move(options));
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    ASSERT_TRUE(cluster_->StartNodes().ok());
    ASSERT_EQ(cluster_->StartWriter(kPatience), absl::OkStatus());
  }

  void Watch(const std::string& name, std::vector<Sighting>* sightings) {
    sql::VolumeVfs vfs(&cluster_->reader(name));
    auto connection = sql::Connection::Open(vfs, {.cache_kib = 64});
    ASSERT_TRUE(connection.ok()) << connection.status();
    while (!is_done_) {
      const size_t digest = DigestOf(**connection);
      const Lsn at = (*connection)->file().position();
      if (!sightings->empty()) {
        ASSERT_GE(at, sightings->back().at) << name << " went back";
      }
      sightings->push_back({at, digest});
    }
  }

  std::unique_ptr<EmbeddedCluster> cluster_;
  std::atomic<bool> is_done_{false};
};

TEST_F(ReaderDigest, TablesAreEqualAtTheSameLsn) {
  sql::VolumeVfs vfs(&cluster_->writer());
  auto connection = sql::Connection::Open(vfs, {.cache_kib = 64});
  ASSERT_TRUE(connection.ok()) << connection.status();
  (*connection)->file().SetHoldsTicket(true);
  sqlite3* const db = (*connection)->db();
  sql::RandomSql random(11);
  std::map<Lsn, size_t> truth;
  for (const char* table : {"t0", "t1", "t2"}) {
    sql::Query(db, Text("CREATE TABLE ", table, "(id INTEGER PRIMARY KEY, a INT, b TEXT)"));
  }
  const auto change = [&] {
    sql::Query(db, random.Next());
    if (sqlite3_get_autocommit(db) == 0) sql::Query(db, "ROLLBACK");
    truth[cluster_->writer().head()] = DigestOf(**connection);
  };
  change();
  // A reader shows what is durable: nothing, were it to begin before the first commit is.
  ASSERT_EQ(cluster_->writer().Drain(kPatience), absl::OkStatus());
  std::map<std::string, std::vector<Sighting>> sightings;
  std::vector<std::thread> threads;
  for (const std::string name : {"reader-1", "reader-2"}) {
    ASSERT_EQ(cluster_->StartReader(name, kPatience), absl::OkStatus());
    threads.emplace_back([this, name, seen = &sightings[name]] { Watch(name, seen); });
  }
  for (int i = 0; i < kTransactions; ++i) {
    change();
    ReaderFaults& faults = cluster_->reader_faults("reader-2");
    if (i % 200 == 50) faults.SetPaused(true);
    if (i % 200 == 90) faults.SetPaused(false);
    if (i % 500 == 250) faults.SetConnected(false);
    if (i % 500 == 290) faults.SetConnected(true);
  }
  cluster_->reader_faults("reader-2").SetPaused(false);
  cluster_->reader_faults("reader-2").SetConnected(true);
  // All come to see the end.
  const Lsn end = cluster_->writer().head();
  for (auto& [name, seen] : sightings) {
    std::promise<absl::Status> reached;
    cluster_->reader(name).WhenDurable(end, kPatience,
                                       [&](absl::Status s) { reached.set_value(std::move(s)); });
    EXPECT_EQ(reached.get_future().get(), absl::OkStatus()) << name;
  }
  is_done_ = true;
  for (std::thread& thread : threads) thread.join();

  size_t compared = 0;
  for (const auto& [name, seen] : sightings) {
    std::set<Lsn> points;
    for (const Sighting& sighting : seen) {
      const auto expected = truth.find(sighting.at);
      ASSERT_NE(expected, truth.end()) << name << " read at " << sighting.at << ", no commit";
      ASSERT_EQ(sighting.digest, expected->second) << name << " at lsn " << sighting.at;
      points.insert(sighting.at);
      ++compared;
    }
    const compute::ReaderStatus status = cluster_->reader(name).status();
    std::printf("%s: %zu views at %zu commits, %llu jumps, %llu changes applied, %llu dropped\n",
                name.c_str(), seen.size(), points.size(),
                static_cast<unsigned long long>(status.counters.jumps),
                static_cast<unsigned long long>(status.applied_changes),
                static_cast<unsigned long long>(status.dropped_changes));
    EXPECT_GT(points.size(), 30u);
    EXPECT_EQ(status.pending_bytes, 0u);
  }
  EXPECT_GT(compared, 1000u);
}

}  // namespace
}  // namespace sextant::embedded
