// PageCache at a reader: redo that is applied or dropped, reads that come back late, jumps.
#include <map>
#include <vector>

#include "common/base/prng.h"
#include "compute-node/cache/page_cache.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

constexpr PageNo kPage{7};
constexpr uint64_t kMiss = UINT64_MAX;

std::string Bytes(uint64_t lsn) {
  std::string bytes(512, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(lsn >> (8 * i));
  return bytes;
}
PageRef Version(uint64_t lsn) {
  return std::make_shared<const page::PageImage>(page::PageImage{Lsn(lsn), Bytes(lsn)});
}
page::PageChange Change(PageNo page, uint64_t base, uint64_t lsn) {
  page::Diff diff = page::DiffPages(Bytes(base), Bytes(lsn));
  return {page, Lsn(base), diff.is_full_image, std::move(diff.payload)};
}
uint64_t LsnOf(const PageRef& page) { return page ? page->lsn.value() : kMiss; }

TEST(PageCacheAtReader, RedoIsAppliedToWhatIsCachedAndDroppedOtherwise) {
  PageCache cache(1 << 20, 1, 100);
  EXPECT_EQ(*cache.Apply(Change(kPage, 0, 5), Lsn(5), false), PageCache::Applied::kNotCached);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(5))), kMiss);
  ASSERT_TRUE(cache.InsertRead(kPage, Version(5), Lsn(8)).ok());
  EXPECT_EQ(*cache.Apply(Change(kPage, 5, 9), Lsn(9), false), PageCache::Applied::kApplied);
  EXPECT_EQ(cache.Get(kPage, Lsn(20))->bytes, Bytes(9));
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(8))), 5u);
}

TEST(PageCacheAtReader, AReadThatRedoOvertookIsNotTheHead) {
  PageCache cache(1 << 20, 1, 100);
  // Fetched as of lsn 50; before it arrives the page changes, which is dropped.
  ASSERT_TRUE(cache.Apply(Change(kPage, 10, 60), Lsn(60), false).ok());
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(50))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(60))), kMiss);
  EXPECT_EQ(cache.Head(kPage), nullptr);
}

TEST(PageCacheAtReader, ANoticeEndsTheHead) {
  PageCache cache(1 << 20, 1, 100);
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  EXPECT_EQ(*cache.Apply({kPage, Lsn(10)}, Lsn(60), true), PageCache::Applied::kInvalidated);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(59))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(60))), kMiss);
}

TEST(PageCacheAtReader, RedoThatDoesNotFitIsDamageAndTheHeadGoes) {
  PageCache cache(1 << 20, 1, 100);
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  EXPECT_EQ(cache.Apply(Change(kPage, 55, 60), Lsn(60), false).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(60))), kMiss);
  ASSERT_TRUE(cache.InsertRead(kPage, Version(60), Lsn(61)).ok());
  EXPECT_EQ(cache.Apply({kPage, Lsn(60), false, "\xff"}, Lsn(62), false).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(62))), kMiss);
}

TEST(PageCacheAtReader, AfterAJumpNothingIsKnownToBeTheNewest) {
  PageCache cache(1 << 20, 1, 100);
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(50)).ok());
  cache.Missed(Lsn(55), Lsn(100));
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(55))), 10u);
  EXPECT_EQ(LsnOf(cache.Get(kPage, Lsn(100))), kMiss);
  // A read that was under way: what lies between is not known.
  ASSERT_TRUE(cache.InsertRead(PageNo(8), Version(10), Lsn(55)).ok());
  EXPECT_EQ(LsnOf(cache.Get(PageNo(8), Lsn(100))), kMiss);
  // It did not change after all.
  ASSERT_TRUE(cache.InsertRead(kPage, Version(10), Lsn(100)).ok());
  EXPECT_EQ(LsnOf(cache.Head(kPage)), 10u);
}

// Redo, reads that take any time, evictions, notices and jumps, against a model that keeps every
// version: the cache may not know, but what it knows is right.
class Model {
 public:
  explicit Model(uint64_t seed) : prng_(seed), cache_(40 * 700, 2, 64) {}

  void Step() {
    switch (prng_.Between(0, 9)) {
      case 0:
      case 1:
      case 2:
        return Commit();
      case 3:
        return StartFetch();
      case 4:
      case 5:
        return FinishFetch();
      case 6:
        return prng_.OneIn(20) ? Jump() : Check();
      default:
        return Check();
    }
  }
  uint64_t hits() const { return cache_.counters().hits; }

 private:
  static constexpr uint64_t kPages = 30;
  struct Fetch {
    PageNo page;
    Lsn at;
  };

  PageNo AnyPage() { return PageNo(prng_.Between(0, kPages - 1)); }
  uint64_t Truth(PageNo page, Lsn at) const {
    const auto versions = truth_.find(page);
    if (versions == truth_.end()) return 0;
    const auto above = versions->second.upper_bound(at);
    return above == versions->second.begin() ? 0 : std::prev(above)->second;
  }
  Lsn AnyPoint() {
    const uint64_t back = prng_.Between(0, 30);
    return Lsn(published_.value() - std::min(back, published_.value()));
  }
  uint64_t Change1(PageNo page) {
    const uint64_t base = Truth(page, Lsn(UINT64_MAX));
    last_ = last_.Next();
    truth_[page][last_] = last_.value();
    return base;
  }
  void Commit() {
    const bool is_notice = prng_.OneIn(10);
    for (uint64_t i = prng_.Between(1, 4); i > 0; --i) {
      const PageNo page = AnyPage();
      const uint64_t base = Change1(page);
      const auto applied = cache_.Apply(Change(page, base, last_.value()), last_, is_notice);
      ASSERT_TRUE(applied.ok()) << applied.status();
    }
    Publish();
  }
  void Jump() {
    const Lsn before = published_;
    for (uint64_t i = prng_.Between(1, 40); i > 0; --i) Change1(AnyPage());
    cache_.Missed(before, last_);
    Publish();
  }
  void Publish() {
    published_ = last_;
    const uint64_t horizon = published_.value() - std::min<uint64_t>(published_.value(), 31);
    cache_.Advance(published_, Lsn(horizon));
  }
  void StartFetch() { Fetch1(AnyPage(), AnyPoint()); }
  // Few at a time, so that most answers are not ancient.
  void Fetch1(PageNo page, Lsn at) {
    if (fetches_.size() < 6) fetches_.push_back({page, at});
  }
  void FinishFetch() {
    if (fetches_.empty()) return;
    const size_t i = prng_.Between(0, fetches_.size() - 1);
    const Fetch fetch = fetches_[i];
    fetches_.erase(fetches_.begin() + static_cast<ptrdiff_t>(i));
    const auto used = cache_.InsertRead(fetch.page, Version(Truth(fetch.page, fetch.at)), fetch.at);
    ASSERT_TRUE(used.ok()) << used.status();
  }
  void Check() {
    const PageNo page = AnyPage();
    const Lsn at = AnyPoint();
    const PageRef found = cache_.Get(page, at);
    if (found == nullptr) {
      Fetch1(page, at);
      return;
    }
    ASSERT_EQ(LsnOf(found), Truth(page, at)) << "page " << page << " at " << at;
    ASSERT_EQ(found->bytes, Bytes(LsnOf(found)));
  }

  Prng prng_;
  PageCache cache_;
  std::map<PageNo, std::map<Lsn, uint64_t>> truth_;
  std::vector<Fetch> fetches_;
  Lsn last_, published_;
};

TEST(PageCacheAtReader, WhatItKnowsIsRight) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Model model(seed);
    for (int i = 0; i < 20'000; ++i) {
      model.Step();
      if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", step " << i;
    }
    EXPECT_GT(model.hits(), 1000u);
  }
}

}  // namespace
}  // namespace sextant::compute
