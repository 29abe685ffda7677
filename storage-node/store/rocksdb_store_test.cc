// The RocksDB store on bad days: power loss, damaged files, failed syncs, the wrong directory.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "common/testing/temporary_folder.h"
#include "storage-node/store/rocksdb_store_testing.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST_F(RocksDbStoreTest, PowerLossKeepsEveryCommitAndNothingHalf) {
  UseFaults();
  options_.log_memtable_bytes = 64 << 10;  // flushes and compactions among the commits
  options_.page_memtable_bytes = 64 << 10;
  options_.max_wal_bytes = 256 << 10;
  Prng prng(7);
  std::map<uint64_t, std::string> committed;
  uint64_t next = 1, epoch = 0;
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    ASSERT_EQ(Scan(), committed);
    ASSERT_EQ(HighWater(), next - 1);
    ASSERT_EQ(Epoch(), epoch);
    const uint64_t commits = prng.Below(60);
    for (uint64_t i = 0; i < commits; ++i, ++next) {
      const std::string bytes = Noise(&prng, prng.Between(1, 6000));
      ASSERT_TRUE(Append(next, bytes).ok());
      committed[next] = bytes;
      if (prng.OneIn(5)) {
        ASSERT_TRUE(Promise(++epoch).ok());
      }
      if (prng.OneIn(3)) {
        const page::PageImage image{Lsn(next), Text("page at ", next)};
        ASSERT_TRUE(store_->WritePage(segment_, PageNo(prng.Below(5)), image).ok());
      }
    }
    faults_->Crash();
    EXPECT_FALSE(Append(next, "too late").ok());
    store_.reset();
    faults_->DropUnsynced(&prng);
  }
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Scan(), committed);
  for (uint64_t page = 0; page < 5; ++page) {  // whatever survived is what was written
    const auto image = store_->ReadPage(segment_, PageNo(page), Lsn(UINT64_MAX));
    ASSERT_TRUE(image.ok()) << image.status();
    if (image->has_value()) {
      EXPECT_EQ((*image)->bytes, Text("page at ", (*image)->lsn));
    }
  }
}

TEST_F(RocksDbStoreTest, ACommitCutOffByTheCrashIsWholeOrAbsent) {
  UseFaults();
  Prng prng(11);
  std::map<uint64_t, std::string> expected;
  uint64_t next = 1;
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(round);
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    const auto found = Scan();
    if (found.size() == expected.size() + 2) {  // the unacknowledged pair survived, whole
      expected[next] = expected[next + 1] = "pair";
      next += 2;
    }
    ASSERT_EQ(found, expected);
    ASSERT_EQ(HighWater(), next - 1);
    const std::string bytes = Noise(&prng, 100);
    ASSERT_TRUE(Append(next, bytes).ok());
    expected[next++] = bytes;
    faults_->FailNextSync(".log");
    StoreWrite pair;
    const auto text = std::make_shared<const std::string>("pair");
    pair.log = {{segment_, LogPosition(next), text}, {segment_, LogPosition(next + 1), text}};
    pair.high_water = {{segment_, LogPosition(next + 1), Lsn(next + 1)}};
    ASSERT_FALSE(store_->Commit(pair).ok());
    faults_->Crash();
    store_.reset();
    faults_->DropUnsynced(&prng);
  }
}

TEST_F(RocksDbStoreTest, AFailedSyncIsForEver) {
  UseFaults();
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, "kept").ok());
  faults_->FailNextSync(".log");
  const absl::Status first = Append(2, "unknown");
  EXPECT_EQ(first.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(first.message()), HasSubstr("injected sync error"));
  EXPECT_EQ(Append(3, "refused"), first);
  EXPECT_EQ(store_->WritePage(segment_, PageNo(1), {Lsn(1), "page"}), first);
  EXPECT_EQ(*store_->ReadBatch(segment_, LogPosition(1)), "kept");
}

TEST_F(RocksDbStoreTest, AFailedBackgroundWriteIsForEver) {
  UseFaults();
  options_.log_memtable_bytes = 64 << 10;
  ASSERT_TRUE(Open().ok());
  faults_->FailNextAppend(".sst");
  absl::Status status;
  uint64_t position = 0;
  while (status.ok() && position < 10'000) status = Append(++position, std::string(4000, 'x'));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(Append(position, "again"), status);
}

TEST_F(RocksDbStoreTest, FlushedPagesSurviveAPowerLoss) {
  UseFaults();
  Prng prng(3);
  ASSERT_TRUE(Open().ok());
  for (uint64_t page = 0; page < 50; ++page) {
    ASSERT_TRUE(store_->WritePage(segment_, PageNo(page), {Lsn(10), Text("page ", page)}).ok());
  }
  ASSERT_TRUE(store_->FlushPages().ok());
  ASSERT_TRUE(store_->WritePage(segment_, PageNo(50), {Lsn(11), "not flushed"}).ok());
  faults_->Crash();
  store_.reset();
  faults_->DropUnsynced(&prng);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->ListPages(segment_, PageNo(0), 100)->size(), 50u);
  EXPECT_EQ((*store_->ReadPage(segment_, PageNo(49), Lsn(10)))->bytes, "page 49");
}

TEST_F(RocksDbStoreTest, AFailedFlushOfPagesIsForEver) {
  UseFaults();
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(store_->WritePage(segment_, PageNo(1), {Lsn(10), "page"}).ok());
  faults_->FailNextSync(".sst");
  const absl::Status first = store_->FlushPages();
  EXPECT_EQ(first.code(), absl::StatusCode::kUnavailable) << first;
  EXPECT_EQ(store_->FlushPages(), first);
  EXPECT_EQ(Append(1, "refused"), first);
}

TEST_F(RocksDbStoreTest, DroppedLogGivesItsRoomBack) {
  options_.log_memtable_bytes = 64 << 10;
  ASSERT_TRUE(Open().ok());
  Prng prng(9);
  for (uint64_t i = 1; i <= 1000; ++i) ASSERT_TRUE(Append(i, Noise(&prng, 6000)).ok());
  ASSERT_TRUE(store_->Commit({.log_drops = {{segment_, LogPosition(1000)}}}).ok());
  // What DeleteFilesInRange leaves, files of the youngest level, goes with the next compactions.
  for (uint64_t i = 1001; i <= 1100; ++i) ASSERT_TRUE(Append(i, Noise(&prng, 6000)).ok());
  store_.reset();
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Scan(LogPosition(1000)).size(), 101u);
  EXPECT_EQ(Scan().size(), 101u);
}

TEST_F(RocksDbStoreTest, AMissingStoreIsNotReplacedByAnEmptyOne) {
  ASSERT_TRUE(Open().ok());
  for (uint64_t i = 1; i <= 20; ++i) ASSERT_TRUE(Append(i, "bytes").ok());
  store_.reset();
  fs::remove_all(options_.directory + "/rocksdb");
  const absl::Status opened = Open();
  EXPECT_FALSE(opened.ok());
  EXPECT_FALSE(fs::exists(options_.directory + "/rocksdb/CURRENT"));
}

TEST_F(RocksDbStoreTest, AnotherNodesDirectoryIsRefused) {
  ASSERT_TRUE(Open().ok());
  store_.reset();
  options_.node = "az1-b";
  const absl::Status status = Open();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("belongs to node az1-a in zone az1"));
  options_.node = "az1-a";
  EXPECT_TRUE(Open().ok());
}

TEST_F(RocksDbStoreTest, AnotherFormatIsRefused) {
  ASSERT_TRUE(Open().ok());
  store_.reset();
  const std::string marker = options_.directory + "/SEXTANT";
  std::ofstream(marker) << "kind: sextant-storage-node\nformat: 9\nnode: az1-a\nzone: az1\n";
  const absl::Status status = Open();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has format 9"));
}

TEST_F(RocksDbStoreTest, ACreationCutShortIsTakenUpAgain) {
  fs::create_directory(options_.directory);
  std::ofstream(options_.directory + "/SEXTANT.tmp") << "kind: sext";  // crashed in the first draft
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, "kept").ok());
  store_.reset();
  std::ofstream(options_.directory + "/SEXTANT")  // crashed before the store was known to be whole
      << "kind: sextant-storage-node\nformat: " << kDirectoryFormat
      << "\nnode: az1-a\nzone: az1\nstate: creating\n";
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Scan().size(), 1u);
  std::ostringstream marker;
  marker << std::ifstream(options_.directory + "/SEXTANT").rdbuf();
  EXPECT_THAT(marker.str(), HasSubstr("state: ready"));
}

TEST_F(RocksDbStoreTest, ADirectoryKeepsItsNumberAndANewOneHasAnother) {
  ASSERT_TRUE(Open().ok());
  const DirectoryId id = store_->directory();
  EXPECT_NE(id, DirectoryId());
  store_.reset();
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->directory(), id);
  store_.reset();
  fs::remove_all(options_.directory);
  ASSERT_TRUE(Open().ok());
  EXPECT_NE(store_->directory(), id);
}

TEST_F(RocksDbStoreTest, AForeignDirectoryIsRefusedUntouched) {
  fs::create_directory(options_.directory);
  std::ofstream(options_.directory + "/letters.txt") << "dear";
  EXPECT_EQ(Open().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::distance(fs::directory_iterator(options_.directory), {}), 1);
}

TEST_F(RocksDbStoreTest, AMissingParentIsAnError) {
  options_.directory = parent_ + "/no/such";
  const absl::Status status = Open();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("No such file or directory"));
}

TEST_F(RocksDbStoreTest, ADirectoryInUseIsRefused) {
  ASSERT_TRUE(Open().ok());
  const auto second = OpenRocksDbStore(options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use by another process"));
  EXPECT_TRUE(Append(1, "still works").ok());
}

}  // namespace
}  // namespace sextant::storage
