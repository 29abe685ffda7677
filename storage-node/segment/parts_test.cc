// The small classes a segment is made of, each by itself.
#include <algorithm>
#include <map>
#include <set>
#include "common/base/prng.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/epoch_fence.h"
#include "storage-node/segment/log_extent.h"
#include "storage-node/segment/page_fold.h"
#include "storage-node/segment/page_index.h"
#include "storage-node/segment/pending_writes.h"
#include "storage-node/segment/segment_log.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- EpochFence

TEST(EpochFence, AdmitsOnlyItsOwnEpoch) {
  const EpochFence fence(VolumeEpoch(4), WriterId(40), {});
  EXPECT_TRUE(fence.Admit(VolumeEpoch(4)).ok());
  EXPECT_THAT(fence.Admit(VolumeEpoch(3)).message(), HasSubstr("fenced"));
  EXPECT_THAT(fence.Admit(VolumeEpoch(5)).message(), HasSubstr("behind"));
}

TEST(EpochFence, AFailedRaiseChangesNothing) {
  EpochFence fence(VolumeEpoch(4), WriterId(40), {Cut(4, 10, 20)});
  const std::vector<std::pair<protocol::RaiseEpochRequest, absl::StatusCode>> failing = {
      {Raise(3, 40), absl::StatusCode::kFailedPrecondition},
      {Raise(4, 41), absl::StatusCode::kFailedPrecondition},
      {Raise(5, 50, {Cut(4, 11, 20)}), absl::StatusCode::kAborted},
      {Raise(5, 50, {Cut(5, 20, 30), Cut(6, 30, 40)}), absl::StatusCode::kInvalidArgument},
      {Raise(5, 50, {Cut(5, 30, 20)}), absl::StatusCode::kInvalidArgument}};
  for (const auto& [request, code] : failing) {
    EXPECT_EQ(fence.Raise(request.epoch, request.writer, request.truncations).status().code(),
              code);
    EXPECT_EQ(fence.epoch(), VolumeEpoch(4));
    EXPECT_EQ(fence.writer(), WriterId(40));
    EXPECT_THAT(fence.truncations(), ElementsAre(Cut(4, 10, 20)));
  }
}

TEST(EpochFence, TheListWithTheLaterTruncationWinsWhole) {
  EpochFence fence(VolumeEpoch(1), WriterId(1), {});
  EXPECT_TRUE(*fence.Raise(VolumeEpoch(3), WriterId(3), {Cut(2, 10, 20), Cut(3, 25, 40)}));
  EXPECT_FALSE(*fence.Raise(VolumeEpoch(3), WriterId(3), {Cut(2, 10, 20)}));
  EXPECT_THAT(fence.truncations(), ElementsAre(Cut(2, 10, 20), Cut(3, 25, 40)));
  EXPECT_THAT(fence.Unknown({Cut(2, 10, 20), Cut(4, 20, 25)}), ElementsAre(Cut(4, 20, 25)));
  // Epoch 3 never opened: recovery 4 did not see its truncation, and found 26 to 30 durable.
  EXPECT_TRUE(*fence.Raise(VolumeEpoch(4), WriterId(4), {Cut(2, 10, 20), Cut(4, 30, 50)}));
  EXPECT_THAT(fence.truncations(), ElementsAre(Cut(2, 10, 20), Cut(4, 30, 50)));
}

TEST(EpochFence, ATruncationAnnulsOlderEpochsInItsRangeOnly) {
  const EpochFence fence(VolumeEpoch(4), WriterId(4), {Cut(2, 10, 20), Cut(4, 30, 40)});
  auto annuls = [&fence](uint64_t lsn, uint64_t epoch) {
    return fence.Annuls(Lsn(lsn), VolumeEpoch(epoch));
  };
  EXPECT_FALSE(annuls(10, 1));
  EXPECT_TRUE(annuls(11, 1));
  EXPECT_TRUE(annuls(20, 1));
  EXPECT_FALSE(annuls(21, 1));
  EXPECT_FALSE(annuls(11, 2));
  EXPECT_TRUE(annuls(40, 3));
  EXPECT_FALSE(annuls(41, 4));
}

// --- SegmentLog

RecordLocation At(uint64_t lsn) {
  return {.lsn = Lsn(lsn), .position = LogPosition(lsn), .size = 10};
}

TEST(SegmentLog, AnyOrderOfArrivalGivesTheSameChain) {
  std::vector<uint64_t> order = {2, 3, 5, 8, 13};
  do {
    SegmentLog log;
    for (uint64_t lsn : order) {
      const uint64_t prev = lsn == 2 ? 0 : lsn == 3 ? 2 : lsn == 5 ? 3 : lsn == 8 ? 5 : 8;
      EXPECT_TRUE(log.Wants(Lsn(lsn)));
      log.Insert(At(lsn), Lsn(prev), VolumeEpoch(1));
      EXPECT_FALSE(log.Wants(Lsn(lsn)));
      EXPECT_EQ(log.Find(Lsn(lsn)), At(lsn));
    }
    EXPECT_EQ(log.scl(), Lsn(13));
    EXPECT_EQ(log.records_ahead(), 0u);
    EXPECT_FALSE(log.Find(Lsn(4)).has_value());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(SegmentLog, TheChainProvesWhatDoesNotExist) {
  SegmentLog log;
  log.Insert(At(5), Lsn(0), VolumeEpoch(1));
  EXPECT_FALSE(log.Wants(Lsn(3)));
  EXPECT_TRUE(log.Wants(Lsn(6)));
}

TEST(SegmentLog, TruncateDropsFromChainAndAhead) {
  SegmentLog log;
  log.Insert(At(1), Lsn(0), VolumeEpoch(1));
  log.Insert(At(2), Lsn(1), VolumeEpoch(1));
  log.Insert(At(3), Lsn(2), VolumeEpoch(1));
  log.Insert(At(6), Lsn(5), VolumeEpoch(1));
  log.Insert(At(50), Lsn(1), VolumeEpoch(2));
  EXPECT_THAT(log.Truncate(Cut(2, 1, 40)), ElementsAre(Lsn(2), Lsn(3), Lsn(6)));
  EXPECT_EQ(log.scl(), Lsn(50)) << "the new writer's record links below the cut";
  EXPECT_THAT(log.Truncate(Cut(3, 60, 90)), IsEmpty());
  EXPECT_EQ(log.size(), 2u);
}

TEST(SegmentLog, ATruncationThatComesLateLeavesNewerRecordsAlone) {
  SegmentLog log;
  log.Insert(At(1), Lsn(0), VolumeEpoch(1));
  log.Insert(At(50), Lsn(1), VolumeEpoch(2));
  log.Insert(At(51), Lsn(50), VolumeEpoch(2));
  EXPECT_THAT(log.Truncate(Cut(2, 1, 40)), IsEmpty());
  EXPECT_EQ(log.scl(), Lsn(51));
}

// --- PageIndex

TEST(PageIndex, PlansMatchAFilterOverEverything) {
  Prng prng(7);
  PageIndex index;
  std::map<Lsn, bool> all;  // of one page: LSN to "is a full image"
  for (int i = 0; i < 300; ++i) {
    const Lsn lsn(prng.Between(1, 1000));
    if (all.contains(lsn)) continue;
    all[lsn] = prng.OneIn(20);
    index.Add(kPage, lsn, all[lsn]);
    index.Add(PageNo(11), lsn, false);
  }
  for (int i = 0; i < 300; ++i) {
    const Lsn base(prng.Below(1000)), through(prng.Below(1100));
    std::vector<Lsn> expected;
    for (const auto& [lsn, is_full_image] : all) {
      if (lsn <= base || lsn > through) continue;
      if (is_full_image) expected.clear();
      expected.push_back(lsn);
    }
    EXPECT_EQ(index.Plan(kPage, base, through), expected);
  }
  EXPECT_THAT(index.Plan(PageNo(12), Lsn(0), Lsn(1000)), IsEmpty());
}

TEST(PageIndex, RemoveForgetsRecordsAndEmptyPages) {
  PageIndex index;
  index.Add(kPage, Lsn(1), false);
  index.Add(kPage, Lsn(2), true);
  index.Add(kPage, Lsn(3), false);
  index.Add(PageNo(11), Lsn(4), false);
  index.Remove({Lsn(2), Lsn(4)});
  EXPECT_THAT(index.Plan(kPage, Lsn(0), PageIndex::kMaxLsn), ElementsAre(Lsn(1), Lsn(3)));
  EXPECT_EQ(index.page_count(), 1u);
}

TEST(PageIndex, DropThroughMatchesAFilterOverEverything) {
  Prng prng(8);
  PageIndex index;
  std::map<PageNo, std::set<Lsn>> all;
  const auto add = [&](Lsn lsn) {
    const PageNo page(prng.Below(5));
    for (const auto& [other, lsns] : all) {
      if (lsns.contains(lsn)) return;
    }
    all[page].insert(lsn);
    index.Add(page, lsn, false);
  };
  for (uint64_t cut = 0; cut < 1000; cut += 100) {
    for (int i = 0; i < 60; ++i) add(Lsn(cut + prng.Between(1, 300)));
    std::vector<Lsn> removed;
    for (auto& [page, lsns] : all) {
      if (!lsns.empty() && prng.OneIn(2)) removed.push_back(lsns.extract(lsns.begin()).value());
    }
    std::sort(removed.begin(), removed.end());
    index.Remove(removed);
    std::vector<PageNo> pages;
    for (auto& [page, lsns] : all) {
      const auto above = lsns.upper_bound(Lsn(cut + 100));
      if (above == lsns.begin()) continue;
      pages.push_back(page);
      EXPECT_EQ(index.NewestThrough(page, Lsn(cut + 100)), *std::prev(above));
      lsns.erase(lsns.begin(), above);
    }
    EXPECT_EQ(index.PagesThrough(Lsn(cut + 100)), pages);
    index.DropThrough(Lsn(cut + 100));
    EXPECT_THAT(index.PagesThrough(Lsn(cut + 100)), IsEmpty());
    for (const auto& [page, lsns] : all) {
      EXPECT_EQ(index.Plan(page, Lsn(), PageIndex::kMaxLsn),
                std::vector<Lsn>(lsns.begin(), lsns.end()));
    }
  }
}

// --- LogExtent

TEST(LogExtent, DropsAPrefixOnlyAndKnowsWhatThatGivesBack) {
  LogExtent extent(LogPosition(5));
  extent.Store(LogPosition(5), Lsn(10), 100);
  extent.Store(LogPosition(7), Lsn(8), 50);  // 6 was damaged
  extent.Store(LogPosition(8), Lsn(30), 20);
  extent.Store(LogPosition(9), Lsn(9), 7);
  EXPECT_EQ(extent.bytes(), 177u);
  EXPECT_EQ(extent.FirstNeeded(Lsn(9)), LogPosition(5));
  EXPECT_EQ(extent.FirstNeeded(Lsn(10)), LogPosition(8));
  EXPECT_EQ(extent.FirstNeeded(Lsn(30)), LogPosition(10));
  EXPECT_TRUE(extent.HoldsBelow(Lsn(10), 150));
  EXPECT_FALSE(extent.HoldsBelow(Lsn(10), 151));
  extent.DropBefore(LogPosition(8));
  EXPECT_EQ(extent.bytes(), 27u);
  EXPECT_EQ(extent.first(), LogPosition(8));
  EXPECT_EQ(extent.FirstNeeded(Lsn(10)), LogPosition(8));
}

// --- PageFold

log::RecordView ViewOf(const log::RedoRecord& record) { return {record.header, record.payload}; }

TEST(PageFold, GoesOnFromAStoredVersion) {
  auto fold =
      PageFold::Start(kPage, kPageBytes, page::PageImage{Lsn(5), std::string(kPageBytes, 'x')});
  ASSERT_TRUE(fold.ok());
  EXPECT_TRUE(fold->Apply(ViewOf(Redo(4, 0))).ok()) << "part of the base";
  EXPECT_TRUE(fold->Apply(ViewOf(Redo(8, 0, {.prev_page = 5}))).ok());
  EXPECT_EQ(fold->applied(), 1);
  const page::PageImage image = std::move(*fold).Take();
  EXPECT_EQ(image.lsn, Lsn(8));
  EXPECT_EQ(image.bytes, '\10' + std::string(kPageBytes - 1, 'x'));
}

TEST(PageFold, ABrokenChainIsDataLossAndLeavesTheFoldAsItWas) {
  auto fold = PageFold::Start(kPage, kPageBytes, std::nullopt);
  ASSERT_TRUE(fold.ok());
  ASSERT_TRUE(fold->Apply(ViewOf(Redo(1, 0))).ok());
  log::RedoRecord malformed = Redo(2, 0, {.prev_page = 1});
  malformed.payload = "\x7f";
  for (const log::RedoRecord& bad : {Redo(3, 0, {.prev_page = 2}), malformed,
                                     Redo(2, 0, {.page = PageNo(11), .prev_page = 1})}) {
    EXPECT_EQ(fold->Apply(ViewOf(bad)).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(fold->lsn(), Lsn(1));
  }
  EXPECT_TRUE(fold->Apply(ViewOf(Redo(9, 0, {.prev_page = 7, .is_full_image = true}))).ok())
      << "a whole page needs no base";
  EXPECT_EQ(fold->lsn(), Lsn(9));
}

TEST(PageFold, RefusesABaseOfAnotherSize) {
  EXPECT_EQ(PageFold::Start(kPage, kPageBytes, page::PageImage{Lsn(1), "short"}).status().code(),
            absl::StatusCode::kDataLoss);
}

// --- PendingWrites

PendingBatch OneRecord(uint64_t lsn) { return {.records = {{.header = Redo(lsn, 0).header}}}; }

TEST(PendingWrites, RefusedPositionsAreGivenAgain) {
  PendingWrites pending(LogPosition(7));
  pending.Add(OneRecord(1));
  const PersistTicket kept = pending.HandOut().ticket;
  pending.Add(OneRecord(2));
  const PersistTicket refused = pending.HandOut().ticket;
  pending.Add(OneRecord(3));
  EXPECT_EQ(pending.HandOut().batches[0].position, LogPosition(10));
  EXPECT_TRUE(pending.IsPending(Lsn(2)));

  EXPECT_EQ(pending.TakeRefused(refused).size(), 2u);
  EXPECT_FALSE(pending.IsPending(Lsn(2)));
  EXPECT_TRUE(pending.IsPending(Lsn(1)));
  pending.Add(OneRecord(4));
  EXPECT_EQ(pending.HandOut().batches[0].position, LogPosition(9));
  EXPECT_TRUE(pending.TakePersisted(kept).has_value());
  EXPECT_FALSE(pending.TakePersisted(kept).has_value());
}

}  // namespace
}  // namespace sextant::storage
