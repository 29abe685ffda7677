// Source and replica engines in one process, under the same sessions as a volume's; stopped and
// opened again, with the data set back as a crash may set it back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "compute-node/binlog/engine/replica_engine.h"
#include "compute-node/binlog/engine/source_engine.h"
#include "compute-node/binlog/engine/testing/database_digest.h"
#include "compute-node/sql/testing/sql_client.h"

namespace sextant::binlog {
namespace {

using ::sextant::testing::StatusIs;
using ::testing::HasSubstr;

const ReplicaCopy kReplica{"replica", ReplicaId(77)};

std::string DigestOf(const std::string& folder) {
  const auto db = OpenDatabase(folder + "/data.sqlite");
  return DatabaseDigest(db->get());
}

class EngineTest : public ::testing::Test {
 protected:
  ~EngineTest() override { StopSource(); }

  void StartSource(SourceOptions options = {}) {
    auto data = LocalData::Open(SourceFolder(), ReplicaId(1), {.max_file_bytes = 4096});
    ASSERT_OK(data.status());
    data_ = *std::move(data);
    auto engine = SourceEngine::Start(data_.get(), &tickets_, SourceId(0xa), std::move(options));
    ASSERT_OK(engine.status());
    source_ = *std::move(engine);
    sql::SqlOptions sql_options;
    sql_options.threads = 3;
    executor_ = std::make_unique<sql::SqlExecutor>(source_.get(), &tickets_, sql_options);
  }
  void StopSource() {
    if (source_ != nullptr) source_->Stop();
    executor_.reset();
    source_.reset();
    data_.reset();
  }
  std::string SourceFolder() const { return folder_.path() + "/source"; }
  std::string ReplicaFolder() const { return folder_.path() + "/replica"; }

  // A replica that has caught up with the source, then stops; what it holds.
  void Replicate() {
    auto data = LocalData::Open(ReplicaFolder(), kReplica.folder, {});
    ASSERT_OK(data.status());
    ReplicaEngine replica(data->get(), {});
    const auto from = source_->Join(kReplica, replica.received());
    ASSERT_OK(from.status());
    replica.Connected();
    auto reader = BinlogReader::At(&data_->store(), *from);
    ASSERT_OK(reader.status());
    for (;;) {
      const auto piece = reader->Next(source_->status().synced, 300);
      ASSERT_OK(piece.status());
      if (piece->bytes.empty()) break;
      const auto ack = replica.Receive(piece->bytes);
      ASSERT_OK(ack.status());
      if (ack->has_value()) {
        ASSERT_OK(source_->Acked(kReplica, **ack));
      }
    }
    replica.Stop(/*apply_all=*/true);
    ASSERT_OK(replica.status().broken);
    source_->Leave(kReplica);
  }

  testing::TemporaryFolder folder_;
  compute::WriteTicketQueue tickets_;
  std::unique_ptr<LocalData> data_;
  std::unique_ptr<SourceEngine> source_;
  std::unique_ptr<sql::SqlExecutor> executor_;
};

TEST_F(EngineTest, SessionsAsOnAVolume) {
  StartSource();
  sql::SqlClient client(*executor_);
  ASSERT_TRUE(client.Run("CREATE TABLE t(a UNIQUE, b)").ok());
  const sql::Answer inserted = client.Run("INSERT INTO t VALUES(1, 'x'), (2, 'y') RETURNING a");
  ASSERT_TRUE(inserted.ok()) << inserted.message();
  EXPECT_EQ(inserted.rows(), "1;2;");
  EXPECT_EQ(inserted.results[0].changes, 2);
  EXPECT_EQ(inserted.position, Lsn(2));
  const sql::Answer twice = client.Run("INSERT INTO t VALUES(3, 'z'), (1, 'again')");
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error->sqlite_code, SQLITE_CONSTRAINT_UNIQUE);
  EXPECT_THAT(twice.message(), HasSubstr("UNIQUE constraint failed: t.a"));
  ASSERT_TRUE(client
                  .Script("BEGIN; INSERT INTO t VALUES(4, 'w'); SAVEPOINT s; DELETE FROM t;"
                          "ROLLBACK TO s; COMMIT")
                  .ok());
  sql::SqlClient other(*executor_);
  EXPECT_EQ(other.Run("SELECT group_concat(a) FROM t").rows(), "1,2,4;");
  EXPECT_EQ(client.Run("SELECT changes()").rows(), "3;");
  EXPECT_THAT(client.Run("PRAGMA synchronous = OFF").message(), HasSubstr("the node has set it"));
  EXPECT_THAT(client.Run("VACUUM").message(), HasSubstr("renumbers the rows"));
  EXPECT_THAT(client.Run("DELETE FROM _sextant_position").message(), HasSubstr("refused"));
  sql::Request atomic =
      sql::MakeRequest({"INSERT INTO t VALUES(5, 1)", "INSERT INTO t VALUES(5, 2)"});
  atomic.is_atomic = true;
  EXPECT_FALSE(client.Run(atomic).ok());
  EXPECT_EQ(client.Run("SELECT count(*) FROM t").rows(), "3;");
  EXPECT_EQ(source_->status().history.last(), TxnSeq(3));
}

TEST_F(EngineTest, AReplicaIsEqualAlsoAfterRestarts) {
  StartSource();
  for (int round = 0; round < 3; ++round) {
    {
      sql::SqlClient client(*executor_);
      client.Run("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)");
      for (int i = 0; i < 40; ++i) {
        ASSERT_TRUE(client.Run(Text("INSERT INTO t(b) VALUES(", i, ")")).ok());
        client.Run(Text("DELETE FROM t WHERE a % 7 = ", i % 7, " AND b < 20"));
      }
    }
    Replicate();
    EXPECT_EQ(DigestOf(SourceFolder()), DigestOf(ReplicaFolder()));
    StopSource();
    StartSource();
  }
}

// A token that is too low would let its session go back in time on another replica.
TEST_F(EngineTest, AReplicaShowsNothingBeyondThePositionThatItTells) {
  StartSource();
  constexpr int kRows = 400;
  {
    sql::SqlClient client(*executor_);
    ASSERT_TRUE(client.Run("CREATE TABLE t(a)").ok());
    for (int i = 0; i < kRows; ++i) ASSERT_TRUE(client.Run("INSERT INTO t VALUES(1)").ok());
  }
  auto data = LocalData::Open(ReplicaFolder(), kReplica.folder, {});
  ASSERT_OK(data.status());
  ReplicaEngine replica(data->get(), {});
  compute::WriteTicketQueue tickets;
  sql::SqlOptions options;
  options.is_read_only = true;
  sql::SqlExecutor executor(&replica, &tickets, options);
  std::atomic<bool> is_over = false;
  int beyond = 0;
  std::thread reading([&] {
    sql::SqlClient client(executor);
    while (!is_over) {
      const sql::Answer answer = client.Run("SELECT count(*) FROM t");
      if (!answer.ok()) continue;  // there is no table yet
      const uint64_t seen = 1 + static_cast<uint64_t>(std::stoll(answer.rows()));
      beyond += seen > answer.position.value() ? 1 : 0;
    }
  });
  replica.Connected();
  auto reader = BinlogReader::At(&data_->store(), TxnSeq(1));
  ASSERT_OK(reader.status());
  for (uint64_t seq = 1; seq <= kRows + 1; ++seq) {  // each a batch of its own
    const auto piece = reader->Next(TxnSeq(seq), 1);
    ASSERT_OK(piece.status());
    EXPECT_OK(replica.Receive(piece->bytes).status());
    ASSERT_TRUE(sql::Eventually([&] { return replica.status().applied == TxnSeq(seq); }));
  }
  is_over = true;
  reading.join();
  EXPECT_EQ(beyond, 0);
  executor.Stop();
}

TEST_F(EngineTest, TheBinlogBringsDataThatIsBehindUpToDate) {
  StartSource();
  const std::string early = folder_.path() + "/early";
  {
    sql::SqlClient client(*executor_);
    client.Run("CREATE TABLE t(a, b)");
    client.Run("INSERT INTO t VALUES(1, 1)");
    ASSERT_OK(data_->CopyTo(early));
    client.Run("INSERT INTO t VALUES(2, 2)");
    client.Run("UPDATE t SET b = 9; ");
  }
  StopSource();
  const std::string before = DigestOf(SourceFolder());
  // As after a loss of power that the WAL did not survive.
  for (const char* name : {"/data.sqlite-wal", "/data.sqlite-shm"}) {
    std::filesystem::remove(SourceFolder() + name);
  }
  std::filesystem::copy_file(early, SourceFolder() + "/data.sqlite",
                             std::filesystem::copy_options::overwrite_existing);
  StartSource();
  EXPECT_EQ(DigestOf(SourceFolder()), before);
}

TEST_F(EngineTest, SemiSyncRepliesWaitForTheReplica) {
  SourceOptions options;
  options.semi_sync.acks = 1;
  StartSource(options);
  sql::SqlClient client(*executor_);
  auto created = client.Start("CREATE TABLE t(a)");
  ASSERT_TRUE(sql::Eventually([&] { return source_->status().synced == TxnSeq(1); }));
  EXPECT_EQ(created.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  Replicate();
  EXPECT_TRUE(created.get().ok());
  sql::Request late = sql::MakeRequest({"INSERT INTO t VALUES(1)"});
  late.timeout = absl::Milliseconds(50);
  const sql::Answer answer = client.Run(late);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error->outcome, sql::Outcome::kUnknown);
  EXPECT_THAT(answer.message(), HasSubstr("not durable in the binlog of enough nodes"));
  EXPECT_EQ(source_->status().mode, SyncMode::kSemiSync);
}

TEST_F(EngineTest, RewoundTransactionsAreGone) {
  StartSource();
  {
    sql::SqlClient client(*executor_);
    client.Run("CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b)");
    client.Run("INSERT INTO t VALUES(1, 1)");
  }
  StopSource();
  const std::string before = DigestOf(SourceFolder());
  StartSource();
  {
    sql::SqlClient client(*executor_);
    client.Run("INSERT INTO t(b) VALUES(2), (3)");
    client.Run("UPDATE t SET b = 7");
    client.Run("DELETE FROM t");
  }
  StopSource();
  EXPECT_NE(DigestOf(SourceFolder()), before);
  {
    auto data = LocalData::Open(SourceFolder(), ReplicaId(1), {});
    ASSERT_OK(data.status());
    ASSERT_OK((*data)->Rewind(TxnSeq(2)));
    EXPECT_THAT((*data)->Rewind(TxnSeq(0)), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  EXPECT_EQ(DigestOf(SourceFolder()), before);
  StartSource();
  EXPECT_EQ(source_->status().history.last(), TxnSeq(2));
}

TEST_F(EngineTest, SeededFromACopy) {
  StartSource();
  {
    sql::SqlClient client(*executor_);
    client.Run("CREATE TABLE t(a)");
    client.Run("INSERT INTO t VALUES(1)");
  }
  const std::string copy = folder_.path() + "/copy";
  ASSERT_OK(data_->CopyTo(copy));
  std::filesystem::create_directories(ReplicaFolder());
  ASSERT_OK(
      LocalData::Seed(ReplicaFolder(), copy, source_->status().history, {.id = kReplica.folder}));
  {
    sql::SqlClient client(*executor_);
    client.Run("INSERT INTO t VALUES(2)");
  }
  Replicate();
  EXPECT_EQ(DigestOf(SourceFolder()), DigestOf(ReplicaFolder()));
}

}  // namespace
}  // namespace sextant::binlog
