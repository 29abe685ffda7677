// What every SegmentStore promises, run against all of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/base/text.h"
#include "common/testing/temporary_folder.h"
#include "storage-node/store/memory_store.h"
#include "storage-node/store/rocksdb_store.h"

namespace sextant::storage {
namespace {

// One kind of store with what a test does to it from outside.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual std::unique_ptr<SegmentStore> Open() = 0;  // the store before it was destroyed
  virtual void SetFull(bool is_full) = 0;
};

class MemoryHarness : public Harness {
 public:
  std::unique_ptr<SegmentStore> Open() override { return std::make_unique<MemoryStore>(disk_); }
  void SetFull(bool is_full) override { disk_->SetFull(is_full); }

 private:
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
};

class RocksDbHarness : public Harness {
 public:
  std::unique_ptr<SegmentStore> Open() override {
    RocksDbStoreOptions options;
    options.directory = folder_.path() + "/node";
    options.node = "az1-a";
    options.zone = "az1";
    options.free_bytes = [this] { return free_bytes_; };
    auto store = OpenRocksDbStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  void SetFull(bool is_full) override { free_bytes_ = is_full ? (64 << 20) - 1 : 1ull << 40; }

 private:
  sextant::testing::TemporaryFolder folder_;
  uint64_t free_bytes_ = 1ull << 40;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Harness>()> make;
};

class StoreContractTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    harness_ = GetParam().make();
    store_ = harness_->Open();
  }
  void Reopen() {
    store_.reset();
    store_ = harness_->Open();
  }

  static std::shared_ptr<const std::string> Bytes(std::string bytes) {
    return std::make_shared<const std::string>(std::move(bytes));
  }
  absl::Status Append(SegmentId segment, uint64_t position, std::string bytes) {
    StoreWrite write;
    write.log.push_back({segment, LogPosition(position), Bytes(std::move(bytes))});
    write.high_water.push_back({segment, LogPosition(position), Lsn(position * 10)});
    return store_->Commit(write);
  }
  std::vector<std::string> Scan(SegmentId segment, LogPosition from = LogPosition(1)) {
    std::vector<std::string> found;
    const absl::Status status = store_->ScanLog(
        segment, from,
        [&](LogPosition position, auto bytes) { found.push_back(Text(position, "=", *bytes)); });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  absl::Status Keep(SegmentId segment, uint64_t page, uint64_t lsn, std::string bytes) {
    return store_->WritePage(segment, PageNo(page), {Lsn(lsn), std::move(bytes)});
  }
  // "lsn=bytes", or "none".
  std::string Page(SegmentId segment, uint64_t page, uint64_t at_or_below) {
    const auto image = store_->ReadPage(segment, PageNo(page), Lsn(at_or_below));
    EXPECT_TRUE(image.ok()) << image.status();
    if (!image.ok() || !image->has_value()) return "none";
    return Text((*image)->lsn, "=", (*image)->bytes);
  }

  std::vector<uint64_t> Pages(SegmentId segment, uint64_t from = 0, size_t limit = 1000) {
    const auto pages = store_->ListPages(segment, PageNo(from), limit);
    EXPECT_TRUE(pages.ok()) << pages.status();
    std::vector<uint64_t> found;
    if (pages.ok()) {
      for (const PageNo page : *pages) found.push_back(page.value());
    }
    return found;
  }

  const SegmentId a_{VolumeId(0xfedcba9876543210), PgId(0)};
  const SegmentId b_{VolumeId(0xfedcba9876543210), PgId(1)};
  std::unique_ptr<Harness> harness_;
  std::unique_ptr<SegmentStore> store_;
};

SegmentState FullState(SegmentId segment) {
  SegmentState state;
  state.segment = segment;
  state.incarnation = IncarnationId(0x1122334455667788);
  state.descriptor = {segment.volume, {8192, 77, 3, GeometryEpoch(2)}};
  state.membership.epoch = MembershipEpoch(9);
  for (int i = 0; i < 6; ++i) {
    state.membership.members.push_back({Text("node-", i), Text("az", i / 2 + 1)});
  }
  state.slot = 4;
  state.epoch = VolumeEpoch(12);
  state.writer = WriterId(99);
  state.truncations = {{VolumeEpoch(11), Lsn(100), Lsn(10'000'100)},
                       {VolumeEpoch(12), Lsn(20'000'000), Lsn(30'000'000)}};
  state.first_position = LogPosition(301);
  state.log_start = Lsn(15'000'000);
  state.read_floor = Lsn(14'000'000);
  state.healed.Add(LogPosition(310), LogPosition(310));
  state.healed.Add(LogPosition(1'000'000), LogPosition(1ull << 40));
  return state;
}

TEST_P(StoreContractTest, EmptyStoreHoldsNothing) {
  EXPECT_THAT(*store_->LoadStates(), ::testing::IsEmpty());
  EXPECT_EQ(*store_->LoadHighWater(a_), std::nullopt);
  EXPECT_THAT(Scan(a_), ::testing::IsEmpty());
  EXPECT_EQ(store_->ReadBatch(a_, LogPosition(1)).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Page(a_, 0, UINT64_MAX), "none");
}

TEST_P(StoreContractTest, StatesAreRewrittenWhole) {
  SegmentState state = FullState(a_);
  SegmentState other;
  other.segment = b_;
  other.descriptor.volume = b_.volume;
  ASSERT_TRUE(store_->Commit({.states = {state, other}}).ok());
  state.epoch = VolumeEpoch(13);
  state.truncations.pop_back();
  ASSERT_TRUE(store_->Commit({.states = {state}}).ok());
  Reopen();
  EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(state, other));
}

TEST_P(StoreContractTest, LogComesBackInPositionOrder) {
  for (uint64_t position = 1; position <= 300; ++position) {
    ASSERT_TRUE(Append(a_, position, Text("batch", position)).ok());
  }
  ASSERT_TRUE(Append(b_, 1, "other").ok());
  Reopen();
  const auto found = Scan(a_);
  ASSERT_EQ(found.size(), 300u);
  for (uint64_t i = 0; i < 300; ++i) EXPECT_EQ(found[i], Text(i + 1, "=batch", i + 1));
  EXPECT_THAT(Scan(b_), ::testing::ElementsAre("1=other"));
  EXPECT_EQ((*store_->LoadHighWater(a_))->last_position, LogPosition(300));
  EXPECT_EQ((*store_->LoadHighWater(a_))->scl, Lsn(3000));
  EXPECT_EQ((*store_->LoadHighWater(b_))->last_position, LogPosition(1));
}

TEST_P(StoreContractTest, OneCommitCarriesManySegments) {
  StoreWrite write;
  write.log = {{a_, LogPosition(1), Bytes("a1")},
               {b_, LogPosition(1), Bytes("b1")},
               {a_, LogPosition(2), Bytes("a2")}};
  write.high_water = {{a_, LogPosition(2), Lsn(2)}, {b_, LogPosition(1), Lsn(1)}};
  write.states = {FullState(a_)};
  ASSERT_TRUE(store_->Commit(write).ok());
  Reopen();
  EXPECT_THAT(Scan(a_), ::testing::ElementsAre("1=a1", "2=a2"));
  EXPECT_THAT(Scan(b_), ::testing::ElementsAre("1=b1"));
}

TEST_P(StoreContractTest, ReadsBatchesAndRecords) {
  ASSERT_TRUE(Append(a_, 1, "0123456789").ok());
  EXPECT_EQ(*store_->ReadBatch(a_, LogPosition(1)), "0123456789");
  EXPECT_EQ(*store_->ReadRecord(a_, LogPosition(1), 3, 4), "3456");
  EXPECT_EQ(*store_->ReadRecord(a_, LogPosition(1), 0, 10), "0123456789");
  EXPECT_EQ(store_->ReadRecord(a_, LogPosition(1), 7, 4).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(store_->ReadRecord(a_, LogPosition(1), 0xffffffff, 2).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(store_->ReadRecord(a_, LogPosition(2), 0, 1).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->ReadBatch(b_, LogPosition(1)).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreContractTest, PageVersionsAreFoundByReadPoint) {
  ASSERT_TRUE(Keep(a_, 7, 30, "third").ok());
  ASSERT_TRUE(Keep(a_, 7, 10, "first").ok());
  ASSERT_TRUE(Keep(a_, 7, 20, "second").ok());
  ASSERT_TRUE(Keep(a_, 8, 15, "neighbour").ok());
  ASSERT_TRUE(Keep(b_, 7, 25, "other segment").ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Page(a_, 7, 9), "none");
    EXPECT_EQ(Page(a_, 7, 10), "10=first");
    EXPECT_EQ(Page(a_, 7, 29), "20=second");
    EXPECT_EQ(Page(a_, 7, UINT64_MAX), "30=third");
    EXPECT_EQ(Page(a_, 8, 14), "none");
    EXPECT_EQ(Page(a_, 8, 15), "15=neighbour");
    EXPECT_EQ(Page(b_, 7, 100), "25=other segment");
    EXPECT_EQ(Page(a_, 6, UINT64_MAX), "none");
    Reopen();  // an orderly stop keeps page versions, in other files than before
  }
}

TEST_P(StoreContractTest, WhatIsFlushedIsReadPastWhatWasDoneSince) {
  const auto flushed = [this](uint64_t page, uint64_t lsn) -> std::string {
    const auto image = store_->ReadFlushedPage(a_, PageNo(page), Lsn(lsn));
    EXPECT_TRUE(image.ok()) << image.status();
    return image.ok() && image->has_value() ? Text((*image)->lsn, "=", (*image)->bytes) : "none";
  };
  ASSERT_TRUE(Keep(a_, 7, 10, "first").ok());
  ASSERT_TRUE(Keep(a_, 8, 10, "neighbour").ok());
  EXPECT_EQ(flushed(7, 10), "none");
  ASSERT_TRUE(store_->FlushPages().ok());
  EXPECT_EQ(flushed(7, 10), "10=first");
  EXPECT_EQ(flushed(7, 11), "none");  // of that very LSN
  ASSERT_TRUE(Keep(a_, 7, 10, "again").ok());
  ASSERT_TRUE(Keep(a_, 7, 20, "second").ok());
  ASSERT_TRUE(store_->DropPageVersion(a_, PageNo(8), Lsn(10)).ok());
  EXPECT_EQ(Page(a_, 7, 10), "10=again");
  EXPECT_EQ(Page(a_, 8, 10), "none");
  EXPECT_EQ(flushed(7, 10), "10=first");
  EXPECT_EQ(flushed(7, 20), "none");
  EXPECT_EQ(flushed(8, 10), "10=neighbour");
  ASSERT_TRUE(store_->FlushPages().ok());
  EXPECT_EQ(flushed(7, 10), "10=again");
  EXPECT_EQ(flushed(7, 20), "20=second");
  EXPECT_EQ(flushed(8, 10), "none");
}

TEST_P(StoreContractTest, TheBeginningOfALogIsDropped) {
  for (uint64_t position = 1; position <= 20; ++position) {
    ASSERT_TRUE(Append(a_, position, Text("batch", position)).ok());
  }
  ASSERT_TRUE(Append(b_, 1, "other").ok());
  SegmentState state = FullState(a_);
  state.first_position = LogPosition(19);
  ASSERT_TRUE(store_->Commit({.states = {state}, .log_drops = {{a_, state.first_position}}}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Scan(a_, LogPosition(19)), ::testing::ElementsAre("19=batch19", "20=batch20"));
    EXPECT_THAT(Scan(a_, LogPosition(20)), ::testing::ElementsAre("20=batch20"));
    EXPECT_EQ(store_->ReadBatch(a_, LogPosition(18)).status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(Scan(b_), ::testing::ElementsAre("1=other"));
    EXPECT_EQ((*store_->LoadHighWater(a_))->last_position, LogPosition(20));
    EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(state));
    Reopen();
  }
  ASSERT_TRUE(store_->Commit({.log_drops = {{a_, LogPosition(21)}}}).ok());
  EXPECT_THAT(Scan(a_, LogPosition(21)), ::testing::IsEmpty());
  ASSERT_TRUE(Append(a_, 21, "goes on").ok());
  EXPECT_THAT(Scan(a_, LogPosition(21)), ::testing::ElementsAre("21=goes on"));
}

TEST_P(StoreContractTest, ADroppedSegmentLeavesNothingBehind) {
  SegmentState state = FullState(a_);
  for (const SegmentId segment : {a_, b_}) {
    state.segment = segment;
    ASSERT_TRUE(store_->Commit({.states = {state}}).ok());
    ASSERT_TRUE(Append(segment, 1, "batch").ok());
    ASSERT_TRUE(Keep(segment, 7, 10, "page").ok());
    ASSERT_TRUE(store_->FlushPages().ok());
  }
  ASSERT_TRUE(store_->Commit({.dropped_segments = {a_}}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(state));
    EXPECT_EQ(*store_->LoadHighWater(a_), std::nullopt);
    EXPECT_THAT(Scan(a_), ::testing::IsEmpty());
    EXPECT_THAT(Pages(a_), ::testing::IsEmpty());
    EXPECT_EQ(Page(a_, 7, UINT64_MAX), "none");
    EXPECT_THAT(Scan(b_), ::testing::ElementsAre("1=batch"));
    EXPECT_EQ(Page(b_, 7, UINT64_MAX), "10=page");
    Reopen();
  }
}

TEST_P(StoreContractTest, WhatRemainsOfADroppedSegmentStaysUntilItIsMadeAnew) {
  ASSERT_TRUE(store_->Commit({.states = {FullState(a_)}}).ok());
  ASSERT_TRUE(Append(a_, 1, "batch").ok());
  SegmentState remains = FullState(a_);
  remains.is_dropped = true;
  ASSERT_TRUE(store_->Commit({.dropped_segments = {a_}, .remains = {remains}}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(remains));
    EXPECT_EQ(*store_->LoadHighWater(a_), std::nullopt);
    EXPECT_THAT(Scan(a_), ::testing::IsEmpty());
    Reopen();
  }
  ASSERT_TRUE(store_->Commit({.states = {FullState(a_)}}).ok());
  Reopen();
  EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(FullState(a_)));
}

TEST_P(StoreContractTest, ASegmentMayBeDroppedAndBegunAnewInOneWrite) {
  ASSERT_TRUE(Append(a_, 1, "old").ok());
  ASSERT_TRUE(Append(a_, 2, "old").ok());
  ASSERT_TRUE(Keep(a_, 7, 10, "old").ok());
  StoreWrite write{.dropped_segments = {a_}};
  write.log = {{a_, LogPosition(1), Bytes("new")}};
  write.high_water = {{a_, LogPosition(1), Lsn(99)}};
  write.states = {FullState(a_)};
  ASSERT_TRUE(store_->Commit(write).ok());
  ASSERT_TRUE(Keep(a_, 8, 20, "new").ok());
  Reopen();
  EXPECT_THAT(Scan(a_), ::testing::ElementsAre("1=new"));
  EXPECT_EQ((*store_->LoadHighWater(a_))->scl, Lsn(99));
  EXPECT_THAT(*store_->LoadStates(), ::testing::ElementsAre(FullState(a_)));
  EXPECT_THAT(Pages(a_), ::testing::ElementsAre(8));
}

TEST_P(StoreContractTest, PagesAreListedInPortions) {
  for (const uint64_t page : {3, 4, 9, 200}) {
    for (uint64_t lsn = 1; lsn <= 5; ++lsn) ASSERT_TRUE(Keep(a_, page, lsn, "page").ok());
  }
  ASSERT_TRUE(Keep(b_, 5, 1, "other segment").ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Pages(a_), ::testing::ElementsAre(3, 4, 9, 200));
    EXPECT_THAT(Pages(a_, 4, 2), ::testing::ElementsAre(4, 9));
    EXPECT_THAT(Pages(a_, 10, 2), ::testing::ElementsAre(200));
    EXPECT_THAT(Pages(a_, 201), ::testing::IsEmpty());
    EXPECT_THAT(Pages(b_), ::testing::ElementsAre(5));
    Reopen();
  }
}

TEST_P(StoreContractTest, AScanVisitsEveryVersionOfTheNextPages) {
  for (const uint64_t page : {3, 4, 9}) {
    for (const uint64_t lsn : {10, 20}) ASSERT_TRUE(Keep(a_, page, lsn, Text("at", lsn)).ok());
  }
  ASSERT_TRUE(Keep(b_, 5, 1, "other segment").ok());
  std::vector<std::string> found;
  const auto visit = [&](PageNo page, Lsn lsn, const absl::StatusOr<page::PageImage>& image) {
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->lsn, lsn);
    found.push_back(Text(page, ":", lsn, "=", image->bytes));
  };
  EXPECT_EQ(*store_->ScanPages(a_, PageNo(0), 2, visit), PageNo(9));
  EXPECT_THAT(found, ::testing::ElementsAre("3:20=at20", "3:10=at10", "4:20=at20", "4:10=at10"));
  found.clear();
  EXPECT_EQ(*store_->ScanPages(a_, PageNo(9), 2, visit), std::nullopt);
  EXPECT_THAT(found, ::testing::ElementsAre("9:20=at20", "9:10=at10"));
}

TEST_P(StoreContractTest, OlderVersionsOfAPageAreDropped) {
  for (const uint64_t page : {6, 7, 8}) {
    for (uint64_t lsn = 1; lsn <= 5; ++lsn) ASSERT_TRUE(Keep(a_, page, lsn, Text("at", lsn)).ok());
  }
  ASSERT_TRUE(store_->FlushPages().ok());
  ASSERT_TRUE(store_->DropPageVersions(a_, PageNo(7), Lsn(4)).ok());
  ASSERT_TRUE(store_->DropPageVersions(a_, PageNo(8), Lsn(0)).ok());
  ASSERT_TRUE(store_->DropPageVersions(a_, PageNo(100), Lsn(9)).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Page(a_, 7, 3), "none");
    EXPECT_EQ(Page(a_, 7, 4), "4=at4");
    EXPECT_EQ(Page(a_, 7, 9), "5=at5");
    EXPECT_EQ(Page(a_, 6, 1), "1=at1");
    EXPECT_EQ(Page(a_, 8, 1), "1=at1");
    Reopen();
  }
  ASSERT_TRUE(store_->DropPageVersions(a_, PageNo(7), Lsn(9)).ok());
  EXPECT_THAT(Pages(a_), ::testing::ElementsAre(6, 8));
}

TEST_P(StoreContractTest, AFullDiskStillCollectsGarbage) {
  ASSERT_TRUE(Append(a_, 1, "batch").ok());
  harness_->SetFull(true);
  EXPECT_TRUE(
      store_->Commit({.states = {FullState(a_)}, .log_drops = {{a_, LogPosition(2)}}}).ok());
  EXPECT_TRUE(store_->Commit({.dropped_segments = {b_}}).ok());
  StoreWrite both{.log_drops = {{a_, LogPosition(2)}}};
  both.log = {{a_, LogPosition(2), Bytes("refused")}};
  EXPECT_EQ(store_->Commit(both).code(), absl::StatusCode::kResourceExhausted);
}

TEST_P(StoreContractTest, FullDiskRefusesAndRecovers) {
  ASSERT_TRUE(Append(a_, 1, "kept").ok());
  harness_->SetFull(true);
  EXPECT_EQ(Append(a_, 2, "refused").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Scan(a_), ::testing::ElementsAre("1=kept"));
  harness_->SetFull(false);
  EXPECT_TRUE(Append(a_, 2, "second").ok());
  Reopen();
  EXPECT_THAT(Scan(a_), ::testing::ElementsAre("1=kept", "2=second"));
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreContractTest,
    ::testing::Values(Kind{"Memory", [] { return std::make_unique<MemoryHarness>(); }},
                      Kind{"RocksDb", [] { return std::make_unique<RocksDbHarness>(); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sextant::storage
