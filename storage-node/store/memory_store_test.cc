// The faults of MemoryDisk: what other tests rely on when they inject them.
#include "storage-node/store/memory_store.h"

#include <gtest/gtest.h>

namespace sextant::storage {
namespace {

class MemoryStoreTest : public ::testing::Test {
 protected:
  StoreWrite Batch(uint64_t position) {
    StoreWrite write;
    write.log.push_back(
        {segment_, LogPosition(position), std::make_shared<const std::string>("bytes")});
    return write;
  }
  bool Holds(MemoryStore& store, uint64_t position) {
    return store.ReadBatch(segment_, LogPosition(position)).ok();
  }

  const SegmentId segment_{VolumeId(1), PgId(0)};
  const std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  MemoryStore store_{disk_};
};

TEST_F(MemoryStoreTest, CrashKeepsCommitsAndDropsPages) {
  ASSERT_TRUE(store_.Commit(Batch(1)).ok());
  ASSERT_TRUE(store_.WritePage(segment_, PageNo(3), {Lsn(5), "page"}).ok());
  disk_->Crash();
  EXPECT_FALSE(store_.Commit(Batch(2)).ok());
  EXPECT_FALSE(Holds(store_, 1));
  MemoryStore next(disk_);
  EXPECT_TRUE(Holds(next, 1));
  EXPECT_EQ(*next.ReadPage(segment_, PageNo(3), Lsn(5)), std::nullopt);
}

TEST_F(MemoryStoreTest, CrashKeepsFlushedPagesAndBringsDroppedVersionsBack) {
  ASSERT_TRUE(store_.WritePage(segment_, PageNo(3), {Lsn(5), "flushed"}).ok());
  ASSERT_TRUE(store_.FlushPages().ok());
  ASSERT_TRUE(store_.WritePage(segment_, PageNo(3), {Lsn(6), "lost"}).ok());
  ASSERT_TRUE(store_.DropPageVersions(segment_, PageNo(3), Lsn(6)).ok());
  EXPECT_EQ(*store_.ReadPage(segment_, PageNo(3), Lsn(5)), std::nullopt);
  disk_->Crash();
  MemoryStore next(disk_);
  EXPECT_EQ((*next.ReadPage(segment_, PageNo(3), Lsn(9)))->bytes, "flushed");
}

TEST_F(MemoryStoreTest, AFailedFlushIsForEver) {
  ASSERT_TRUE(store_.WritePage(segment_, PageNo(3), {Lsn(5), "page"}).ok());
  disk_->FailNextFlush(absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.FlushPages(), absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.FlushPages(), absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.Commit(Batch(1)), absl::UnavailableError("EIO"));
  disk_->Crash();
  MemoryStore next(disk_);
  EXPECT_EQ(*next.ReadPage(segment_, PageNo(3), Lsn(9)), std::nullopt);
}

TEST_F(MemoryStoreTest, DamageToPagesOutlivesACrash) {
  for (const uint64_t page : {3, 4, 5}) {
    ASSERT_TRUE(store_.WritePage(segment_, PageNo(page), {Lsn(5), "page"}).ok());
  }
  ASSERT_TRUE(store_.FlushPages().ok());
  ASSERT_TRUE(disk_->DamagePage(segment_, PageNo(3), Lsn(5), 0));
  ASSERT_TRUE(disk_->LosePage(segment_, PageNo(4), Lsn(5)));
  disk_->MisdirectNextPage(PageNo(5));
  ASSERT_TRUE(store_.WritePage(segment_, PageNo(6), {Lsn(5), "elsewhere"}).ok());
  ASSERT_TRUE(store_.FlushPages().ok());
  disk_->Crash();
  MemoryStore next(disk_);
  std::map<uint64_t, absl::StatusCode> found;
  const auto end = next.ScanPages(segment_, PageNo(0), 100, [&](PageNo page, Lsn, const auto& v) {
    found[page.value()] = v.status().code();
  });
  EXPECT_EQ(*end, std::nullopt);
  const std::map<uint64_t, absl::StatusCode> expected = {{3, absl::StatusCode::kDataLoss},
                                                         {5, absl::StatusCode::kDataLoss}};
  EXPECT_EQ(found, expected);
}

TEST_F(MemoryStoreTest, AFailedWriteIsForEver) {
  disk_->FailNextWrite(absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.Commit(Batch(1)), absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.Commit(Batch(1)), absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.WritePage(segment_, PageNo(3), {Lsn(5), "page"}), absl::UnavailableError("EIO"));
  MemoryStore next(disk_);
  EXPECT_FALSE(Holds(next, 1));
}

TEST_F(MemoryStoreTest, AFailedSyncLeavesTheOutcomeToTheCrash) {
  disk_->FailNextSync(absl::UnavailableError("EIO"));
  EXPECT_EQ(store_.Commit(Batch(1)), absl::UnavailableError("EIO"));
  {
    MemoryStore restarted(disk_);
    EXPECT_TRUE(Holds(restarted, 1));
    disk_->FailNextSync(absl::UnavailableError("EIO"));
    EXPECT_FALSE(restarted.Commit(Batch(2)).ok());
  }
  disk_->Crash();
  MemoryStore next(disk_);
  EXPECT_TRUE(Holds(next, 1));
  EXPECT_FALSE(Holds(next, 2));
}

TEST_F(MemoryStoreTest, DamagedPageIsReported) {
  ASSERT_TRUE(store_.WritePage(segment_, PageNo(3), {Lsn(5), "page"}).ok());
  ASSERT_TRUE(disk_->DamagePage(segment_, PageNo(3), Lsn(5), 2));
  EXPECT_EQ(store_.ReadPage(segment_, PageNo(3), Lsn(9)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(MemoryStoreTest, DamageLeavesTheSendersBytesAlone) {
  const StoreWrite write = Batch(1);
  ASSERT_TRUE(store_.Commit(write).ok());
  ASSERT_TRUE(disk_->DamageBatch(segment_, LogPosition(1), 0));
  EXPECT_EQ(*write.log[0].batch, "bytes");
  EXPECT_NE(*store_.ReadBatch(segment_, LogPosition(1)), "bytes");
  ASSERT_TRUE(disk_->LoseBatch(segment_, LogPosition(1)));
  EXPECT_FALSE(Holds(store_, 1));
}

}  // namespace
}  // namespace sextant::storage
