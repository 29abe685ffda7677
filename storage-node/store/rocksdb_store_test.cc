// The RocksDB store on bad days: power loss, damaged files, failed syncs, the wrong directory.
#include "storage-node/store/rocksdb_store.h"

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
#include "storage-node/store/fault_injection_env.h"

namespace sextant::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class RocksDbStoreTest : public ::testing::Test {
 protected:
  sextant::testing::TemporaryFolder folder_;
  const std::string parent_ = folder_.path();

  RocksDbStoreTest() {
    options_.directory = parent_ + "/node";
    options_.node = "az1-a";
    options_.zone = "az1";
  }
  ~RocksDbStoreTest() override { store_.reset(); }

  absl::Status Open() {
    store_.reset();
    auto store = OpenRocksDbStore(options_);
    if (store.ok()) store_ = *std::move(store);
    return store.status();
  }
  void UseFaults() {
    faults_ = std::make_shared<FaultInjectionFileSystem>();
    env_ = NewFaultInjectionEnv(faults_);
    options_.env = env_.get();
  }
  absl::Status Append(uint64_t position, std::string bytes) {
    StoreWrite write;
    write.log.push_back(
        {segment_, LogPosition(position), std::make_shared<const std::string>(std::move(bytes))});
    write.high_water.push_back({segment_, LogPosition(position), Lsn(position)});
    return store_->Commit(write);
  }
  std::map<uint64_t, std::string> Scan(LogPosition from = LogPosition(1)) {
    std::map<uint64_t, std::string> found;
    const absl::Status status = store_->ScanLog(
        segment_, from,
        [&](LogPosition position, auto bytes) { found[position.value()] = *bytes; });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  uint64_t HighWater() {
    const auto mark = store_->LoadHighWater(segment_);
    EXPECT_TRUE(mark.ok()) << mark.status();
    return mark.ok() && mark->has_value() ? (*mark)->last_position.value() : 0;
  }
  // The files of the store with that suffix.
  std::vector<fs::path> Files(const std::string& suffix) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(options_.directory + "/rocksdb")) {
      if (entry.path().extension() == suffix) found.push_back(entry.path());
    }
    return found;
  }
  // Flips a bit of the first place where `needle` stands in one of the files; false if nowhere.
  static bool Damage(const std::vector<fs::path>& files, const std::string& needle) {
    for (const fs::path& path : files) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      std::ostringstream all;
      all << file.rdbuf();
      const size_t at = all.str().find(needle);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(needle[0] ^ 0x20));
      return true;
    }
    return false;
  }

  const SegmentId segment_{VolumeId(0xabcdef), PgId(3)};
  RocksDbStoreOptions options_;
  std::shared_ptr<FaultInjectionFileSystem> faults_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<SegmentStore> store_;
};

// Random bytes do not compress, so a needle can be found in a table file.
std::string Noise(Prng* prng, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(prng->Next());
  return bytes;
}

TEST_F(RocksDbStoreTest, PowerLossKeepsEveryCommitAndNothingHalf) {
  UseFaults();
  options_.log_memtable_bytes = 64 << 10;  // flushes and compactions among the commits
  options_.page_memtable_bytes = 64 << 10;
  options_.max_wal_bytes = 256 << 10;
  Prng prng(7);
  std::map<uint64_t, std::string> committed;
  uint64_t next = 1;
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    ASSERT_EQ(Scan(), committed);
    ASSERT_EQ(HighWater(), next - 1);
    const uint64_t commits = prng.Below(60);
    for (uint64_t i = 0; i < commits; ++i, ++next) {
      const std::string bytes = Noise(&prng, prng.Between(1, 6000));
      ASSERT_TRUE(Append(next, bytes).ok());
      committed[next] = bytes;
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

TEST_F(RocksDbStoreTest, DamageInTheWriteAheadLogIsNeverSilent) {
  ASSERT_TRUE(Open().ok());
  UseFaults();  // a closed store would flush: copy the files as a crash would leave them
  for (uint64_t i = 1; i <= 20; ++i)
    ASSERT_TRUE(Append(i, Text("recognisable batch ", i, ".")).ok());
  const std::string copy = parent_ + "/copy";
  fs::copy(options_.directory, copy, fs::copy_options::recursive);
  store_.reset();
  options_.directory = copy;
  ASSERT_TRUE(Damage(Files(".log"), "recognisable batch 10."));
  const absl::Status opened = Open();
  if (!opened.ok()) {
    EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
    return;
  }
  EXPECT_EQ(HighWater(), 20u);  // the mark tells the caller what is missing or damaged
}

TEST_F(RocksDbStoreTest, DamageInATableIsNeverSilent) {
  options_.log_memtable_bytes = 64 << 10;
  ASSERT_TRUE(Open().ok());
  Prng prng(5);
  std::map<uint64_t, std::string> written;
  for (uint64_t i = 1; i <= 100; ++i) {
    written[i] = Noise(&prng, 6000);
    ASSERT_TRUE(Append(i, written[i]).ok());
  }
  store_.reset();
  ASSERT_TRUE(Damage(Files(".sst"), written[40].substr(100, 50)));
  ASSERT_TRUE(Open().ok());
  const auto found = Scan();
  EXPECT_EQ(found.count(40), 0u);
  EXPECT_GT(found.size(), 90u);  // only its block is lost
  for (const auto& [position, bytes] : found) EXPECT_EQ(bytes, written[position]);
  EXPECT_EQ(HighWater(), 100u);
  EXPECT_EQ(store_->ReadBatch(segment_, LogPosition(40)).status().code(),
            absl::StatusCode::kDataLoss);
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

TEST_F(RocksDbStoreTest, AScanReportsDamagedPagesAndGoesOn) {
  ASSERT_TRUE(Open().ok());
  SegmentState state{.segment = segment_};
  state.descriptor = {segment_.volume, {8192, 100, 4, GeometryEpoch(1)}};
  ASSERT_TRUE(store_->Commit({.states = {state}}).ok());
  Prng prng(6);
  std::map<uint64_t, std::string> written;
  for (uint64_t page = 300; page < 400; ++page) {
    written[page] = Noise(&prng, 6000);
    ASSERT_TRUE(store_->WritePage(segment_, PageNo(page), {Lsn(page), written[page]}).ok());
  }
  const SegmentId neighbour{segment_.volume, PgId(4)};
  ASSERT_TRUE(store_->WritePage(neighbour, PageNo(400), {Lsn(1), "neighbour"}).ok());
  store_.reset();
  ASSERT_TRUE(Damage(Files(".sst"), written[340].substr(100, 50)));
  ASSERT_TRUE(Damage(Files(".sst"), written[399].substr(100, 50)));
  ASSERT_TRUE(Open().ok());
  std::set<uint64_t> damaged, whole;
  std::optional<PageNo> next = PageNo(0);
  for (int portions = 0; next && portions < 100; ++portions) {
    const auto scanned = store_->ScanPages(
        segment_, *next, 7, [&](PageNo page, Lsn, const absl::StatusOr<page::PageImage>& image) {
          if (image.ok()) EXPECT_EQ(image->bytes, written[page.value()]);
          if (!image.ok()) EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss);
          (image.ok() ? whole : damaged).insert(page.value());
        });
    ASSERT_TRUE(scanned.ok()) << scanned.status();
    next = *scanned;
  }
  EXPECT_EQ(next, std::nullopt);
  EXPECT_TRUE(damaged.contains(340) && damaged.contains(399));
  EXPECT_LT(damaged.size(), 6u);  // and perhaps the neighbours
  EXPECT_GT(whole.size(), 95u);
  std::set<uint64_t> all = whole;
  all.insert(damaged.begin(), damaged.end());
  const auto listed = store_->ListPages(segment_, PageNo(0), 1000);
  ASSERT_TRUE(listed.ok()) << listed.status();
  for (uint64_t page = 300; page < 400; ++page) {
    EXPECT_TRUE(all.contains(page)) << page;
    EXPECT_THAT(*listed, ::testing::Contains(PageNo(page)));
  }
  EXPECT_EQ(store_->ReadPage(segment_, PageNo(340), Lsn(999)).status().code(),
            absl::StatusCode::kDataLoss);
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
      << "kind: sextant-storage-node\nformat: 2\nnode: az1-a\nzone: az1\nstate: creating\n";
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Scan().size(), 1u);
  std::ostringstream marker;
  marker << std::ifstream(options_.directory + "/SEXTANT").rdbuf();
  EXPECT_THAT(marker.str(), HasSubstr("state: ready"));
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
