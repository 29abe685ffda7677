// A folder of binlog files: there again after reopening, torn tails cut, rotation, purge,
// rewinding.
#include "compute-node/binlog/files/binlog_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "compute-node/binlog/files/file_io.h"

namespace sextant::binlog {
namespace {

using ::sextant::testing::StatusIs;

constexpr SourceId kSource{0xa};

std::string Transaction(uint64_t seq, size_t bytes = 10) {
  TransactionBuilder builder;
  const std::string text(bytes, static_cast<char>('a' + seq % 26));
  builder.AddRow({.table = builder.TableIndex("t", true, 1), .after = {TextValue{text}}});
  return builder.Seal({kSource, TxnSeq(seq)}, seq);
}

class BinlogStoreTest : public ::testing::Test {
 protected:
  void Open(uint64_t max_file_bytes = 1 << 20, const GtidSet& history = {}) {
    store_.reset();
    auto store =
        BinlogStore::Open(folder_.path() + "/log", history, {.max_file_bytes = max_file_bytes});
    ASSERT_OK(store.status());
    store_ = *std::move(store);
  }
  void Append(uint64_t first, uint64_t last) {
    for (uint64_t seq = first; seq <= last; ++seq) {
      ASSERT_OK(store_->Append({kSource, TxnSeq(seq)}, Transaction(seq)));
    }
  }
  // The transactions from..through as one text.
  std::string Read(uint64_t from, uint64_t through, size_t max_bytes) {
    auto reader = BinlogReader::At(store_.get(), TxnSeq(from));
    if (!reader.ok()) return reader.status().ToString();
    std::string all;
    for (;;) {
      auto piece = reader->Next(TxnSeq(through), max_bytes);
      if (!piece.ok()) return piece.status().ToString();
      if (piece->bytes.empty()) return all;
      all += piece->bytes;
    }
  }
  std::string Expected(uint64_t from, uint64_t through) {
    std::string all;
    for (uint64_t seq = from; seq <= through; ++seq) all += Transaction(seq);
    return all;
  }

  testing::TemporaryFolder folder_;
  std::unique_ptr<BinlogStore> store_;
};

TEST_F(BinlogStoreTest, ThereAgainAfterReopening) {
  Open();
  Append(1, 20);
  ASSERT_OK(store_->Sync());
  Open();
  EXPECT_EQ(store_->history().ToString(), "000000000000000a:1-20");
  EXPECT_EQ(store_->torn_bytes(), 0u);
  Append(21, 22);
  for (const uint64_t from : {1, 7, 22, 23}) EXPECT_EQ(Read(from, 22, 1), Expected(from, 22));
  EXPECT_EQ(Read(3, 9, 1 << 20), Expected(3, 9));
}

TEST_F(BinlogStoreTest, FilesAreRotatedAndPurged) {
  Open(/*max_file_bytes=*/300);
  Append(1, 40);
  EXPECT_GT(store_->files().size(), 4u);
  EXPECT_EQ(Read(1, 40, 500), Expected(1, 40));
  Open(300);
  EXPECT_EQ(store_->history().last(), TxnSeq(40));
  const size_t purged = *store_->Purge(TxnSeq(20));
  EXPECT_GT(purged, 1u);
  EXPECT_NE(Read(1, 40, 500).find("OUT_OF_RANGE"), std::string::npos);
  EXPECT_EQ(Read(21, 40, 500), Expected(21, 40));
  Open(300);
  EXPECT_EQ(store_->history().last(), TxnSeq(40));  // files tell what was before them
}

TEST_F(BinlogStoreTest, ATornTailIsCutWhereverItBegins) {
  Open();
  Append(1, 2);
  const std::string path = store_->files().back().path;
  const uint64_t whole = *FileSize(path);
  Append(3, 3);
  const uint64_t more = *FileSize(path);
  for (uint64_t size = whole + 1; size < more; ++size) {
    std::filesystem::resize_file(path, size);
    Open();
    EXPECT_EQ(store_->history().last(), TxnSeq(2));
    EXPECT_EQ(store_->torn_bytes(), size - whole);
    Append(3, 3);
  }
  EXPECT_EQ(Read(1, 3, 1 << 20), Expected(1, 3));
}

// Whichever byte of a transaction is bad: what follows it proves that this is no torn end.
TEST_F(BinlogStoreTest, DamageInTheMiddleOfTheLastFileIsNoTornEnd) {
  Open();
  Append(1, 2);
  const std::string path = store_->files().back().path;
  const uint64_t begin = *FileSize(path);
  Append(3, 3);
  const uint64_t end = *FileSize(path);
  Append(4, 5);
  const std::string sound = *ReadFile(path, 0, SIZE_MAX);
  for (uint64_t at = begin; at < end; ++at) {
    std::string bytes = sound;
    bytes[at] ^= 0x10;
    ASSERT_OK(ReplaceFile(path, bytes));
    const absl::Status status = BinlogStore::Open(folder_.path() + "/log", {}, {}).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss)) << at;
    EXPECT_NE(status.message().find(path + ": damaged at byte "), std::string::npos) << status;
    EXPECT_EQ(*ReadFile(path, 0, SIZE_MAX), bytes) << "it was changed";
  }
}

// Transaction 5 is the last: its own end proves the damage, unless that is what is damaged.
TEST_F(BinlogStoreTest, DamageInTheLastTransactionIsSeenByItsEnd) {
  Open();
  Append(1, 4);
  const std::string path = store_->files().back().path;
  const uint64_t begin = *FileSize(path);
  Append(5, 5);
  std::string commit;
  EncodeEvent(CommitEvent{.events = 2}, &commit);
  const std::string sound = *ReadFile(path, 0, SIZE_MAX);
  for (uint64_t at = begin; at < sound.size(); ++at) {
    std::string bytes = sound;
    bytes[at] ^= 0x10;
    ASSERT_OK(ReplaceFile(path, bytes));
    const absl::Status status = BinlogStore::Open(folder_.path() + "/log", {}, {}).status();
    const bool is_in_the_end = at >= sound.size() - commit.size();
    EXPECT_EQ(status.ok(), is_in_the_end) << at << " " << status;
  }
}

TEST_F(BinlogStoreTest, AFileThatWasOnlyBegunIsMadeAgain) {
  Open();
  Append(1, 2);
  ASSERT_OK(store_->Rotate());
  std::filesystem::resize_file(store_->files().back().path, 5);
  Open();
  EXPECT_EQ(store_->history().last(), TxnSeq(2));
  Append(3, 3);
  EXPECT_EQ(Read(1, 3, 1 << 20), Expected(1, 3));
}

TEST_F(BinlogStoreTest, RewoundToAnyTransaction) {
  for (const uint64_t keep : {0, 1, 11, 12, 29, 30}) {
    std::filesystem::remove_all(folder_.path() + "/log");
    Open(300);
    Append(1, 30);
    ASSERT_OK(store_->TruncateAfter(TxnSeq(keep)));
    EXPECT_EQ(store_->history().last(), TxnSeq(keep));
    Append(keep + 1, keep + 3);
    Open(300);
    EXPECT_EQ(Read(1, keep + 3, 1 << 20), Expected(1, keep + 3)) << keep;
  }
}

TEST_F(BinlogStoreTest, ASeededCopyBeginsInTheMiddle) {
  GtidSet before;
  before.Add(kSource, {TxnSeq(1), TxnSeq(99)});
  Open(1 << 20, before);
  Append(100, 101);
  Open();
  EXPECT_EQ(store_->history().ToString(), "000000000000000a:1-101");
  EXPECT_EQ(Read(100, 101, 1), Expected(100, 101));
}

TEST_F(BinlogStoreTest, DamageInOlderFilesIsTold) {
  Open(200);
  Append(1, 12);
  const std::string path = store_->files()[1].path;
  auto bytes = ReadFile(path, 0, SIZE_MAX);
  (*bytes)[bytes->size() / 2] ^= 1;
  ASSERT_OK(ReplaceFile(path, *bytes));
  EXPECT_NE(Read(1, 12, 1 << 20).find("DATA_LOSS"), std::string::npos);
  // The mark of another kind of file is seen when the folder is opened.
  ASSERT_OK(ReplaceFile(path, "nothing of the kind, and long enough to be read as an event"));
  EXPECT_THAT(BinlogStore::Open(folder_.path() + "/log", {}, {}).status(),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace sextant::binlog
