// PageCache: intervals, heads, the race of a slow read with a commit, eviction; and a random test
// against a model that keeps every version for ever.
#include "compute-node/cache/page_cache.h"

#include <map>
#include <optional>
#include <vector>

#include "common/base/prng.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

constexpr PageNo kPage{7};

PageRef Version(uint64_t lsn, size_t bytes = 512) {
  return std::make_shared<const page::PageImage>(
      page::PageImage{Lsn(lsn), std::string(bytes, static_cast<char>(lsn))});
}

uint64_t LsnOf(const PageRef& page) { return page ? page->lsn.value() : UINT64_MAX; }
constexpr uint64_t kMiss = UINT64_MAX;

TEST(PageCache, APublishedVersionIsTheHeadAndClosesTheOldOne) {
  PageCache cache(1 << 20);
  cache.Publish(kPage, Version(10));
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(9))), kMiss);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(10'000))), 10u);
  cache.Publish(kPage, Version(20));
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(19))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(20))), 20u);
  EXPECT_EQ(LsnOf(cache.Head(kPage)), 20u);
}

TEST(PageCache, AReadIsTheHeadWhenNothingNewerWasEverEvicted) {
  PageCache cache(1 << 20);
  cache.Advance(Lsn(50), Lsn(0));
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  EXPECT_EQ(LsnOf(cache.Head(kPage)), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(99))), 10u);
}

TEST(PageCache, AReadBelowAPublishedVersionHoldsOnlyThroughItsReadPoint) {
  PageCache cache(1 << 20);
  cache.Publish(kPage, Version(60));
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(50))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(55))), kMiss);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(60))), 60u);
  EXPECT_EQ(LsnOf(cache.Head(kPage)), 60u);
}

TEST(PageCache, AReadBelowWhereAWriterBeganIsNotTheHead) {
  PageCache cache(1 << 20);
  cache.Begin(Lsn(50));
  cache.Advance(Lsn(50), Lsn(0));
  // As of an older read point that was kept. Another writer may have changed the page since.
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(40)).ok());
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(40))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(50))), kMiss);
  EXPECT_EQ(cache.Head(kPage), nullptr);
  ASSERT_TRUE(cache.InsertRead(kPage, Version(45), Lsn(50)).ok());
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(99))), 45u);
}

TEST(PageCache, ASlowReadDoesNotBecomeHeadOverAVersionThatCameAndWent) {
  PageCache cache(3 * 1024, /*shards=*/1);
  // A reader fetched at read point 50; meanwhile lsn 60 is committed, durable, and evicted.
  cache.Publish(kPage, Version(60));
  cache.Advance(Lsn(60), Lsn(60));
  for (uint64_t lsn = 61; cache.Head(kPage); ++lsn) {
    cache.Advance(Lsn(lsn), Lsn(60));
    cache.Publish(PageNo(lsn), Version(lsn));
  }
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  EXPECT_EQ(LsnOf(cache.Head(kPage)), kMiss);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(50))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(60))), kMiss);
}

TEST(PageCache, RefusesAnAnswerThatContradictsWhatItKnows) {
  PageCache cache(1 << 20);
  cache.Publish(kPage, Version(40));
  EXPECT_EQ(cache.InsertRead(kPage, Version(10), Lsn(50)).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(cache.InsertRead(kPage, Version(45), Lsn(50)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(PageCache, NeverEvictsAboveVdlAndShrinksOnceDurable) {
  PageCache cache(8 * 1024, /*shards=*/1);
  for (uint64_t i = 1; i <= 100; ++i) cache.Publish(PageNo(i), Version(i));
  for (uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(LsnOf(cache.Head(PageNo(i))), i);
  cache.Advance(Lsn(100), Lsn(100));
  cache.Publish(PageNo(101), Version(101));
  EXPECT_LE(cache.counters().bytes, 8u * 1024);
  EXPECT_EQ(LsnOf(cache.Head(PageNo(101))), 101u);
}

TEST(PageCache, DropsSupersededVersionsThatNobodyCanRead) {
  PageCache cache(1 << 20);
  for (uint64_t lsn = 1; lsn <= 50; ++lsn) {
    cache.Advance(Lsn(lsn - 1), Lsn(lsn - 1));
    cache.Publish(kPage, Version(lsn));
  }
  EXPECT_LE(cache.counters().versions, 3u);
}

// Every version of every page, for ever.
class Model {
 public:
  void Publish(PageNo page, uint64_t lsn) { history_[page].push_back(lsn); }
  uint64_t At(PageNo page, uint64_t at) const {
    uint64_t newest = 0;
    const auto it = history_.find(page);
    if (it == history_.end()) return 0;
    for (uint64_t lsn : it->second) newest = lsn <= at ? lsn : newest;
    return newest;
  }

 private:
  std::map<PageNo, std::vector<uint64_t>> history_;
};

struct SlowRead {
  PageNo page;
  uint64_t read_point;
  uint64_t lsn;
};

void RunRandomly(uint64_t seed) {
  Prng prng(seed);
  PageCache cache(prng.Between(2, 40) * 1024, static_cast<int>(prng.Between(1, 3)));
  Model model;
  uint64_t head = 0, vdl = 0;
  std::vector<SlowRead> under_way;
  const uint64_t pages = prng.Between(1, 30);
  for (int step = 0; step < 3000; ++step) {
    const PageNo page(prng.Below(pages));
    switch (prng.Below(6)) {
      case 0:
      case 1:
        cache.Publish(page, Version(++head));
        model.Publish(page, head);
        break;
      case 2:
        vdl = prng.Between(vdl, head);
        cache.Advance(Lsn(vdl), Lsn(prng.OneIn(2) ? vdl : vdl / 2));
        break;
      case 3: {  // a look-up somewhere; a miss starts a read at min(at, VDL), VDL taken after the
                 // miss
        const uint64_t at = prng.OneIn(2) ? head : prng.Between(vdl / 2, head);
        const PageRef got = cache.Get(page, Lsn(at));
        if (got) {
          ASSERT_EQ(got->lsn.value(), model.At(page, at)) << "seed " << seed << " step " << step;
        } else {
          const uint64_t read_point = std::min(at, vdl);
          const uint64_t lsn = model.At(page, read_point);
          // The invariant that allows the read below `at`.
          ASSERT_EQ(lsn, model.At(page, at)) << "seed " << seed << " step " << step;
          under_way.push_back({page, read_point, lsn});
        }
        break;
      }
      case 4:
        if (!under_way.empty()) {
          std::swap(under_way.back(), under_way[prng.Below(under_way.size())]);
          const SlowRead read = under_way.back();
          under_way.pop_back();
          auto kept = cache.InsertRead(read.page, Version(read.lsn), Lsn(read.read_point));
          ASSERT_TRUE(kept.ok()) << kept.status() << " seed " << seed;
          ASSERT_EQ((*kept)->lsn.value(), read.lsn);
        }
        break;
      default:
        if (const PageRef known = cache.Head(page)) {
          ASSERT_EQ(known->lsn.value(), model.At(page, head)) << "seed " << seed;
        }
    }
  }
}

TEST(PageCache, AgreesWithAModelThatKeepsEverything) {
  for (uint64_t seed = 1; seed <= 60; ++seed) RunRandomly(seed);
}

}  // namespace
}  // namespace sextant::compute
