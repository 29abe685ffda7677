// Damaged files under the RocksDB store: nothing that was acknowledged is silently absent, and the
// store opens where it can.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "rocksdb/db.h"
#include "storage-node/store/rocksdb_store_testing.h"
#include "storage-node/store/witness.h"

namespace sextant::storage {
namespace {

using ::testing::HasSubstr;

class RocksDbDamageTest : public RocksDbStoreTest {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }

  // Goes on with a copy of the files, as a killed process would leave them: a store that is closed
  // would flush first.
  void Kill() {
    const std::string copy = Text(parent_, "/copy-", ++kills_);
    fs::copy(options_.directory, copy, fs::copy_options::recursive);
    store_.reset();
    options_.directory = copy;
  }
  std::vector<fs::path> WitnessPaths() const {
    return {options_.directory + "/witness.0", options_.directory + "/witness.1"};
  }
  // Until both witness files know of that position.
  void AwaitWitness(uint64_t position) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (const fs::path& path : WitnessPaths()) {
      while (WitnessedPosition(path) < position) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        std::this_thread::yield();
      }
    }
  }
  uint64_t WitnessedPosition(const fs::path& path) {
    std::ostringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    const auto witness = DecodeWitness(bytes.str());
    if (!witness.ok() || !witness->marks.contains(segment_)) return 0;
    return witness->marks.at(segment_).last_position.value();
  }
  static void Flip(const fs::path& path, uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 0x20));
  }
  fs::path Manifest() {
    for (const auto& entry : fs::directory_iterator(options_.directory + "/rocksdb")) {
      if (entry.path().filename().string().starts_with("MANIFEST")) return entry.path();
    }
    return {};
  }
  // The log is whole or lacks positions below the mark; a page is whole or damaged, or its segment
  // has no log start any more, so that none of them counts.
  void ExpectNothingSilent(const std::map<uint64_t, std::string>& written,
                           const std::map<uint64_t, std::string>& pages) {
    const absl::Status status = Open();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(Epoch(), 60u);
    EXPECT_GE(HighWater(), 60u);
    EXPECT_GE(MarkedScl(), Lsn(60));
    const auto scanned = Scan();
    for (const auto& [position, bytes] : scanned) EXPECT_EQ(bytes, written.at(position));
    const bool begins_anew = store_->LoadStates()->front().log_start == Lsn();
    EXPECT_GE(HighWater(), begins_anew ? 61u : 60u);
    for (const auto& [page, bytes] : pages) {
      const auto image = store_->ReadPage(segment_, PageNo(page), Lsn(100));
      if (!image.ok()) {
        EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss);
      } else if (image->has_value()) {
        EXPECT_EQ((*image)->bytes, bytes);
      } else {
        EXPECT_TRUE(begins_anew) << "page " << page << " is silently absent";
      }
    }
  }
  // As RocksDB would some day, reading every block.
  void CompactEverything() {
    store_.reset();
    rocksdb::DBOptions options;
    const std::string path = options_.directory + "/rocksdb";
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(options, path, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const std::string& name : names) {
      descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> families;
    rocksdb::DB* raw = nullptr;
    const rocksdb::Status opened = rocksdb::DB::Open(options, path, descriptors, &families, &raw);
    ASSERT_TRUE(opened.ok()) << opened.ToString();
    const std::unique_ptr<rocksdb::DB> db(raw);
    for (rocksdb::ColumnFamilyHandle* family : families) {
      rocksdb::CompactRangeOptions all;
      all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
      const rocksdb::Status compacted = db->CompactRange(all, family, nullptr, nullptr);
      EXPECT_TRUE(compacted.ok()) << compacted.ToString();
      db->DestroyColumnFamilyHandle(family);
    }
  }
  Lsn MarkedScl() { return (*store_->LoadHighWater(segment_))->scl; }
  void AppendRecognisable(uint64_t from, uint64_t through) {
    for (uint64_t i = from; i <= through; ++i)
      ASSERT_TRUE(Append(i, Text("recognisable batch ", i, ".")).ok());
  }

  int kills_ = 0;
};

TEST_F(RocksDbDamageTest, InTheMiddleOfTheWriteAheadLog) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Promise(7).ok());
  AppendRecognisable(1, 20);
  Kill();
  ASSERT_TRUE(Damage(Files(".log"), "recognisable batch 10."));
  const absl::Status opened = Open();
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(HighWater(), 20u);  // the mark tells what is missing, whatever the witness knew yet
  EXPECT_EQ(Scan().count(10), 0u);
  EXPECT_EQ(Epoch(), 7u);
  ASSERT_TRUE(Open().ok());  // and it was damage once
  EXPECT_EQ(HighWater(), 20u);
  EXPECT_TRUE(Append(21, "goes on").ok());
}

// RocksDB itself, told to skip damage, finds "Write batch content corrupted" where a record lies
// across it, and refuses.
TEST_F(RocksDbDamageTest, RecordsOfTheWriteAheadLogAcrossBlocks) {
  Prng prng(7);
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Promise(7).ok());
  std::map<uint64_t, std::string> written;
  for (uint64_t i = 1; i <= 20; ++i) {
    written[i] = Noise(&prng, 100 << 10);
    ASSERT_TRUE(Append(i, written[i]).ok());
  }
  Kill();
  const std::string image = options_.directory;
  for (const size_t at : {10u, 30000u, 60000u, 99000u}) {
    options_.directory = Text(parent_, "/copy-", ++kills_);
    fs::copy(image, options_.directory, fs::copy_options::recursive);
    ASSERT_TRUE(Damage(Files(".log"), written[10].substr(at, 50)));
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    const auto found = Scan();
    EXPECT_EQ(found.count(10), 0u);
    EXPECT_GE(found.size(), 18u);  // and perhaps the one that shares its block
    for (const auto& [position, bytes] : found) EXPECT_EQ(bytes, written[position]);
    EXPECT_EQ(HighWater(), 20u);
    EXPECT_EQ(Epoch(), 7u);
  }
}

TEST_F(RocksDbDamageTest, AtTheEndOfTheWriteAheadLogAfterAQuietPeriod) {
  ASSERT_TRUE(Open().ok());
  AppendRecognisable(1, 20);
  AwaitWitness(20);
  Kill();
  ASSERT_TRUE(Damage(Files(".log"), "recognisable batch 20."));
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Scan().size(), 19u);  // RocksDB takes it for a torn end
  EXPECT_EQ(HighWater(), 20u);
  EXPECT_EQ(MarkedScl(), Lsn(20));
}

TEST_F(RocksDbDamageTest, APromiseOutlivesTheRecordThatHeldIt) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Promise(4).ok());
  ASSERT_TRUE(Promise(5, "in the middle").ok());
  AppendRecognisable(1, 5);
  Kill();
  ASSERT_TRUE(Damage(Files(".log"), "in the middle"));
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Epoch(), 5u);
  ASSERT_TRUE(Promise(6, "at the end").ok());
  Kill();
  ASSERT_TRUE(Damage(Files(".log"), "at the end"));
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Epoch(), 6u);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Epoch(), 6u);
}

TEST_F(RocksDbDamageTest, ADropOutlivesTheRecordThatHeldIt) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Promise(4).ok());
  AppendRecognisable(1, 5);
  const SegmentId other{segment_.volume, PgId(0)};
  SegmentState state{.segment = other, .descriptor = {.volume = other.volume}};
  state.membership.members = {{"recognisable node", "az1"}};
  ASSERT_TRUE(store_->Commit({.states = {state}, .dropped_segments = {segment_}}).ok());
  Kill();
  ASSERT_TRUE(Damage(Files(".log"), "recognisable node"));
  ASSERT_TRUE(Open().ok());
  EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(state));
  EXPECT_EQ(*store_->LoadHighWater(segment_), std::nullopt);
  EXPECT_THAT(Scan(), ::testing::IsEmpty());
}

TEST_F(RocksDbDamageTest, OneWitnessFileIsEnough) {
  for (const int damaged : {0, 1}) {
    ASSERT_TRUE(Open().ok());
    ASSERT_TRUE(Promise(10 + damaged, "recognisable node").ok());
    AppendRecognisable(1, 20);
    AwaitWitness(20);
    Kill();
    Flip(WitnessPaths()[damaged], 60);
    ASSERT_TRUE(Damage(Files(".log"), "recognisable node"));
    ASSERT_TRUE(Damage(Files(".log"), "recognisable batch 20."));
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(Epoch(), 10u + damaged);
    EXPECT_EQ(HighWater(), 20u);
    EXPECT_EQ(MarkedScl(), Lsn(20));
  }
}

TEST_F(RocksDbDamageTest, WithoutWitnessNoLogIsTrusted) {
  for (const bool is_lost : {true, false}) {
    ASSERT_TRUE(Open().ok());
    ASSERT_TRUE(Promise(3).ok());
    AppendRecognisable(1, 20);
    store_.reset();
    for (const fs::path& path : WitnessPaths()) {
      if (is_lost) {
        fs::remove(path);
      } else {
        Flip(path, 30);
      }
    }
    for (int round = 0; round < 2; ++round) {  // not forgotten by the next start either
      ASSERT_TRUE(Open().ok());
      EXPECT_EQ(MarkedScl(), kUnknownScl);
      EXPECT_EQ(HighWater(), 20u);
      EXPECT_EQ(Epoch(), 3u);
      EXPECT_EQ(Scan().size(), 20u);
    }
    ASSERT_TRUE(store_->Commit({.dropped_segments = {segment_}}).ok());
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(*store_->LoadHighWater(segment_), std::nullopt);
  }
}

TEST_F(RocksDbDamageTest, WithoutWitnessADatabaseThatCannotBeOpenedSaysWhatToDo) {
  ASSERT_TRUE(Open().ok());
  AppendRecognisable(1, 20);
  store_.reset();
  Flip(Manifest(), 20);
  for (const fs::path& path : WitnessPaths()) Flip(path, 30);
  const absl::Status opened = Open();
  EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
  EXPECT_THAT(std::string(opened.message()), HasSubstr("sextant segment replace"));
}

// What can be told without the tables stands, and nothing counts as whole: the log of a segment
// that was collected begins at LSN 0 again, since its pages are lost too.
TEST_F(RocksDbDamageTest, WithoutManifestSegmentsBeginAnew) {
  const std::vector<std::function<void()>> damages = {
      [&] { Flip(Manifest(), 20); },
      [&] { Flip(options_.directory + "/rocksdb/CURRENT", 3); },
  };
  for (const auto& damage : damages) {
    options_.directory = Text(parent_, "/node-", ++kills_);
    ASSERT_TRUE(Open().ok());
    ASSERT_TRUE(Promise(7).ok());
    AppendRecognisable(1, 20);
    StoreWrite collected{.states = *store_->LoadStates()};
    collected.states[0].log_start = collected.states[0].read_floor = Lsn(15);
    ASSERT_TRUE(store_->Commit(collected).ok());
    store_.reset();
    damage();
    for (int round = 0; round < 2; ++round) {
      const absl::Status opened = Open();
      ASSERT_TRUE(opened.ok()) << opened;
      EXPECT_EQ(Epoch(), 7u);
      EXPECT_EQ(store_->LoadStates()->front().log_start, Lsn());
      EXPECT_EQ(HighWater(), 21u);  // a position that nothing lies at
      EXPECT_EQ(MarkedScl(), Lsn(20));
      EXPECT_THAT(Scan(), ::testing::IsEmpty());
    }
    EXPECT_TRUE(Append(22, "goes on").ok());
  }
}

TEST_F(RocksDbDamageTest, AMissingTableIsDamage) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Promise(7).ok());
  AppendRecognisable(1, 20);
  store_.reset();
  for (const fs::path& table : Files(".sst")) {
    const std::string image = Text(parent_, "/copy-", ++kills_), whole = options_.directory;
    fs::copy(whole, image, fs::copy_options::recursive);
    options_.directory = image;
    fs::remove(image + "/rocksdb/" + table.filename().string());
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ(Epoch(), 7u);
    EXPECT_GE(MarkedScl(), Lsn(20));
    EXPECT_GE(HighWater(), 20u);
    options_.directory = whole;
  }
}

// One table each of log and pages, half of the log in the write-ahead log, as a killed process
// leaves them; then one byte of one file is flipped, at random places of every kind of file.
TEST_F(RocksDbDamageTest, AFlippedByteAnywhereIsNeitherSilentNorTheEnd) {
  ASSERT_TRUE(Open().ok());
  Prng prng(21);
  std::map<uint64_t, std::string> written, pages;
  for (uint64_t i = 1; i <= 60; ++i) {
    written[i] = Noise(&prng, prng.Between(10, 4000));
    ASSERT_TRUE(Append(i, written[i]).ok());
    if (i % 20 == 0) {
      ASSERT_TRUE(Promise(i, "node", Lsn(1)).ok());
      ASSERT_TRUE(i == 60 || Open().ok());  // the first two thirds lie in table files
    }
    pages[300 + i] = Noise(&prng, 4096);
    ASSERT_TRUE(store_->WritePage(segment_, PageNo(300 + i), {Lsn(i), pages[300 + i]}).ok());
  }
  ASSERT_TRUE(store_->FlushPages().ok());
  AwaitWitness(60);
  Kill();
  const std::string image = options_.directory;
  std::vector<fs::path> kinds = {"witness.0", "witness.1", "rocksdb/CURRENT",
                                 fs::relative(Manifest(), image)};
  for (const auto* suffix : {".sst", ".log"}) {
    for (const fs::path& path : Files(suffix)) kinds.push_back(fs::relative(path, image));
  }
  for (const fs::path& kind : kinds) {
    for (int trial = 0; trial < 3; ++trial) {
      options_.directory = parent_ + "/trial";
      fs::remove_all(options_.directory);
      fs::copy(image, options_.directory, fs::copy_options::recursive);
      const fs::path victim = options_.directory / kind;
      const uint64_t size = fs::file_size(victim);
      if (size == 0) continue;
      const uint64_t at = prng.Below(size);
      SCOPED_TRACE(Text("prng 21, ", kind.string(), " at ", at));
      Flip(victim, at);
      ASSERT_NO_FATAL_FAILURE(ExpectNothingSilent(written, pages));
      store_.reset();
      // Whatever compaction meets: the node comes back, and nothing stays damaged in its files.
      std::ofstream(options_.directory + "/REPAIR") << "verify\n";
      ASSERT_NO_FATAL_FAILURE(ExpectNothingSilent(written, pages));
      ASSERT_NO_FATAL_FAILURE(CompactEverything());
    }
  }
}

TEST_F(RocksDbDamageTest, InATable) {
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
  EXPECT_EQ(store_->ReadRecord(segment_, LogPosition(40), 0, 10).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(RocksDbDamageTest, AScanReportsDamagedPagesAndGoesOn) {
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
          EXPECT_TRUE(image.ok() ? image->bytes == written[page.value()]
                                 : absl::IsDataLoss(image.status()));
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

}  // namespace
}  // namespace sextant::storage
