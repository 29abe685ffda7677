// GTID sets against a deliberately dumb one: a set of single transactions.
#include "compute-node/binlog/log/gtid.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/prng.h"
#include "common/testing/status_matchers.h"

namespace sextant::binlog {
namespace {

using ::sextant::testing::StatusIs;

using Dumb = std::set<Gtid>;

constexpr SourceId kA{0xa}, kB{0xb};

GtidSet SetOf(const Dumb& dumb) {
  GtidSet set;
  for (const Gtid& gtid : dumb) set.Add(gtid);
  return set;
}

TEST(GtidSet, AgreesWithASetOfSingles) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Prng prng(seed);
    Dumb a, b;
    GtidSet set_a, set_b;
    for (int i = 0; i < 12; ++i) {
      const SourceId source(prng.Between(1, 2));
      const uint64_t first = prng.Between(1, 30);
      const uint64_t last = first + prng.Below(6);
      const bool is_a = prng.OneIn(2);
      (is_a ? set_a : set_b).Add(source, {TxnSeq(first), TxnSeq(last)});
      for (uint64_t s = first; s <= last; ++s) (is_a ? a : b).insert({source, TxnSeq(s)});
    }
    Dumb minus, both = a;
    for (const Gtid& gtid : a) {
      if (!b.contains(gtid)) minus.insert(gtid);
    }
    both.insert(b.begin(), b.end());
    EXPECT_EQ(set_a, SetOf(a)) << seed;  // equal sets have one form
    EXPECT_EQ(set_a.Minus(set_b), SetOf(minus)) << seed;
    EXPECT_EQ(set_a.Union(set_b), SetOf(both)) << seed;
    EXPECT_EQ(set_a.size(), a.size()) << seed;
    EXPECT_EQ(set_a.Contains(set_b), both.size() == a.size()) << seed;
    for (uint64_t s = 1; s < 40; ++s) {
      const Gtid gtid{SourceId(1), TxnSeq(s)};
      EXPECT_EQ(set_a.Contains(gtid), a.contains(gtid)) << seed << " " << s;
    }
    const auto parsed = GtidSet::Parse(set_a.ToString());
    ASSERT_OK(parsed.status());
    EXPECT_EQ(*parsed, set_a);
  }
}

TEST(GtidSet, TextForm) {
  GtidSet set;
  set.Add(kA, {TxnSeq(1), TxnSeq(40)});
  set.Add({kA, TxnSeq(42)});
  set.Add({kB, TxnSeq(41)});
  EXPECT_EQ(set.ToString(), "000000000000000a:1-40:42,000000000000000b:41");
  EXPECT_EQ(GtidSet().ToString(), "");
  for (const char* bad : {"a:1", "000000000000000a", "000000000000000a:", "000000000000000a:0",
                          "000000000000000a:2-1", "000000000000000a:1-", "000000000000000a:x",
                          "000000000000000a:99999999999999999999"}) {
    EXPECT_THAT(GtidSet::Parse(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(GtidSet, Histories) {
  GtidSet old;  // made 1 to 10, then died
  old.Add(kA, {TxnSeq(1), TxnSeq(10)});
  GtidSet promoted;  // had 1 to 8, went on as B
  promoted.Add(kA, {TxnSeq(1), TxnSeq(8)});
  promoted.Add(kB, {TxnSeq(9), TxnSeq(15)});
  EXPECT_TRUE(old.IsHistory());
  EXPECT_TRUE(promoted.IsHistory());
  EXPECT_TRUE(GtidSet().IsHistory());
  EXPECT_FALSE(old.Union(promoted).IsHistory());  // two transactions at 9
  EXPECT_EQ(CommonThrough(old, promoted), TxnSeq(8));
  EXPECT_EQ(CommonThrough(promoted.Through(TxnSeq(12)), promoted), TxnSeq(12));
  EXPECT_EQ(CommonThrough(old, GtidSet()), TxnSeq(0));
  EXPECT_EQ(old.Minus(promoted).ToString(), "000000000000000a:9-10");
  EXPECT_EQ(promoted.SourceOf(TxnSeq(8)), kA);
  EXPECT_EQ(promoted.SourceOf(TxnSeq(9)), kB);
  EXPECT_EQ(promoted.SourceOf(TxnSeq(16)), std::nullopt);
  GtidSet hole;
  hole.Add(kA, {TxnSeq(2), TxnSeq(3)});
  EXPECT_FALSE(hole.IsHistory());
}

}  // namespace
}  // namespace sextant::binlog
