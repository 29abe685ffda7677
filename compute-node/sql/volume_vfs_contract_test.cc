// The calls by which SQLite tells its VFS about transactions, pinned for the library we link.
//
// VolumeFile is built on this order (volume_file.h). If a newer SQLite fails here, read that file
// and decide anew; do not just change the expectation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>

#include "common/base/text.h"
#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/recording_vfs.h"
#include "compute-node/sql/volume_file.h"
#include "compute-node/sql/volume_vfs.h"

namespace sextant::sql {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::StartsWith;

class VfsContract : public ::testing::Test {
 protected:
  VfsContract() {
    EXPECT_EQ(sqlite3_open_v2("v", &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              recorder_.name().c_str()),
              SQLITE_OK);
    VolumeFile* file = nullptr;
    sqlite3_file_control(db_, "main", kFcntlVolumeFile, &file);
    file->SetHoldsTicket(true);
    Run("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA cache_spill=OFF;"
        "PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=1;"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a'), (2, 'b');");
    recorder_.Take();
  }
  ~VfsContract() override { EXPECT_EQ(sqlite3_close(db_), SQLITE_OK); }

  void Run(const std::string& sql) {
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << sql << ": " << (error != nullptr ? error : "");
    sqlite3_free(error);
  }
  // The calls of one statement.
  std::vector<std::string> Calls(const std::string& sql) {
    recorder_.Take();
    Run(sql);
    return recorder_.Take();
  }

  MemoryVolume volume_;
  VolumeVfs inner_{&volume_};
  RecordingVfs recorder_{inner_.name()};
  sqlite3* db_ = nullptr;
};

TEST_F(VfsContract, SelectPinsItsReadPointFromLockToUnlock) {
  Run("SELECT v FROM t WHERE id = 1");
  EXPECT_THAT(
      Calls("SELECT v FROM t WHERE id = 1"),
      ElementsAre("Lock SHARED", "Read 16@24", "FileSize", "Fetch 2", "Unfetch 2", "Unlock NONE"));
}

TEST_F(VfsContract, WriteEndsInSyncThenPhaseTwo) {
  Run("UPDATE t SET v = 'c' WHERE id = 1");
  const auto calls = Calls("UPDATE t SET v = 'd' WHERE id = 1");
  EXPECT_THAT(
      calls, ElementsAre("Lock SHARED", "Read 16@24", "FileSize", "Lock RESERVED", "Lock EXCLUSIVE",
                         "Write 1", "Write 2", "SYNC", "PHASETWO", "Unlock SHARED", "Unlock NONE"));
}

TEST_F(VfsContract, ImmediateTransactionWritesNothingBeforeCommit) {
  EXPECT_THAT(Calls("BEGIN IMMEDIATE"), Contains("Lock RESERVED"));
  EXPECT_THAT(Calls("UPDATE t SET v = 'e' WHERE id = 1"), Not(Contains(StartsWith("Write"))));
  EXPECT_THAT(Calls("COMMIT"), ElementsAre("Lock EXCLUSIVE", "Write 1", "Write 2", "SYNC",
                                           "PHASETWO", "Unlock SHARED", "Unlock NONE"));
}

TEST_F(VfsContract, RollbackUnlocksWithoutPhaseTwo) {
  Calls("BEGIN IMMEDIATE; UPDATE t SET v = 'f' WHERE id = 1");
  EXPECT_THAT(Calls("ROLLBACK"), ElementsAre("Unlock SHARED", "Unlock NONE"));
}

TEST_F(VfsContract, WriteOfNoRowsCallsPhaseTwoWithoutSync) {
  const auto calls = Calls("UPDATE t SET v = 'g' WHERE id = 99");
  EXPECT_THAT(calls, Not(Contains(StartsWith("Write"))));
  EXPECT_THAT(calls, Not(Contains("SYNC")));
  EXPECT_THAT(calls, Contains("PHASETWO"));
}

TEST_F(VfsContract, SavepointsAndStatementAbortsStayAboveTheVfs) {
  Calls("BEGIN IMMEDIATE");
  EXPECT_THAT(Calls("SAVEPOINT s; UPDATE t SET v = 'h' WHERE id = 1; ROLLBACK TO s"),
              ElementsAre());
  recorder_.Take();
  EXPECT_EQ(sqlite3_exec(db_, "INSERT INTO t VALUES(7, 'x'), (1, 'y')", nullptr, nullptr, nullptr),
            SQLITE_CONSTRAINT);
  EXPECT_THAT(recorder_.Take(), Not(Contains(StartsWith("Write"))));
  Calls("ROLLBACK");
}

TEST_F(VfsContract, ManyDirtyPagesAreNotSpilledBeforeCommit) {
  Run("PRAGMA cache_size=10; BEGIN IMMEDIATE");
  const auto calls = Calls(
      "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
      "INSERT INTO t SELECT i, hex(randomblob(100)) FROM n");
  EXPECT_THAT(calls, Not(Contains(StartsWith("Write"))));
  EXPECT_THAT(calls, Not(Contains("SYNC")));
  EXPECT_THAT(Calls("COMMIT"), Contains("PHASETWO"));
}

TEST_F(VfsContract, VacuumTruncatesBetweenSyncAndPhaseTwo) {
  Run("WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
      "INSERT INTO t SELECT i, hex(randomblob(100)) FROM n; DELETE FROM t WHERE id > 5");
  const auto calls = Calls("VACUUM");
  const auto at = [&calls](std::string_view prefix) {
    return std::find_if(calls.begin(), calls.end(),
                        [prefix](const std::string& call) { return call.starts_with(prefix); });
  };
  ASSERT_NE(at("Truncate"), calls.end());
  EXPECT_LT(at("SYNC"), at("Truncate"));
  EXPECT_LT(at("Truncate"), at("PHASETWO"));
}

TEST_F(VfsContract, JournalsAndWalsAreNeverOpened) {
  const auto calls = Calls(
      "UPDATE t SET v = 'i' WHERE id = 2; BEGIN; INSERT INTO t VALUES(50, 'z'); SAVEPOINT s;"
      "INSERT INTO t VALUES(51, 'z'); ROLLBACK TO s; COMMIT; SELECT * FROM t ORDER BY v");
  EXPECT_THAT(calls, Not(Contains("Open of another file")));
  EXPECT_THAT(calls, Not(Contains("xSync")));
}

TEST_F(VfsContract, BusyInSyncLeavesTheTransactionForAnotherCommit) {
  Run("BEGIN IMMEDIATE; UPDATE t SET v = 'j' WHERE id = 1");
  volume_.FailChecks(absl::ResourceExhaustedError("back-pressure"));
  EXPECT_EQ(sqlite3_exec(db_, "COMMIT", nullptr, nullptr, nullptr), SQLITE_BUSY);
  EXPECT_EQ(sqlite3_get_autocommit(db_), 0);
  volume_.FailChecks(absl::OkStatus());
  // The pages are not written again: the overlay has to keep them.
  EXPECT_THAT(Calls("COMMIT"), ElementsAre("SYNC", "PHASETWO", "Unlock SHARED", "Unlock NONE"));
}

}  // namespace
}  // namespace sextant::sql
