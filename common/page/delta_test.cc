// Diff and apply: apply(before, diff(before, after)) is after, and a bad payload changes nothing.
#include "common/page/delta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/coding.h"
#include "common/base/prng.h"
#include "common/testing/status_matchers.h"

namespace sextant::page {
namespace {

using testing::StatusIs;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

std::string RandomPage(Prng* prng, size_t size) {
  std::string page;
  for (size_t i = 0; i < size; ++i) page.push_back(static_cast<char>(prng->Next()));
  return page;
}

// A page with 0 to `max_edits` runs of it overwritten, from one byte to all of it.
std::string Edited(Prng* prng, std::string page, uint64_t max_edits) {
  for (uint64_t edits = prng->Below(max_edits + 1); edits > 0; --edits) {
    const size_t size = std::min<size_t>(page.size(), 1 + (prng->Next() >> prng->Between(52, 63)));
    const size_t offset = prng->Below(page.size() - size + 1);
    page.replace(offset, size, RandomPage(prng, size));
  }
  return page;
}

struct Range {
  size_t offset;
  std::string bytes;
  bool operator==(const Range&) const = default;
};
std::vector<Range> Ranges(std::string_view payload) {
  std::vector<Range> ranges;
  size_t position = 0;
  while (!payload.empty()) {
    uint64_t gap = 0, length = 0;
    std::string_view bytes;
    EXPECT_TRUE(GetVarint(&payload, &gap) && GetVarint(&payload, &length) &&
                GetBytes(&payload, length, &bytes));
    ranges.push_back({position + gap, std::string(bytes)});
    position += gap + length;
  }
  return ranges;
}

std::string Applied(std::string page, const Diff& diff) {
  EXPECT_OK(ApplyPayload(diff.payload, diff.is_full_image, &page));
  return page;
}

TEST(Delta, ApplyingADiffGivesTheOtherPage) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Prng prng(seed);
    const size_t size = 512u << prng.Below(4);
    const std::string before = prng.OneIn(4) ? std::string(size, '\0') : RandomPage(&prng, size);
    const std::string after = Edited(&prng, before, 1 + prng.Below(40));
    const Diff diff = DiffPages(before, after);
    ASSERT_EQ(Applied(before, diff), after) << "seed " << seed;
    ASSERT_EQ(diff.payload.empty(), before == after) << "seed " << seed;
    ASSERT_LE(diff.payload.size(), size) << "seed " << seed;
    ASSERT_EQ(diff.is_full_image, diff.payload.size() == size) << "seed " << seed;
  }
}

TEST(Delta, EqualPagesHaveAnEmptyDiff) {
  const std::string page(4096, 'x');
  const Diff diff = DiffPages(page, page);
  EXPECT_FALSE(diff.is_full_image);
  EXPECT_EQ(diff.payload, "");
  EXPECT_EQ(Applied(page, diff), page);
}

TEST(Delta, OneByteAnywhereIsOneRangeOfThatByte) {
  const std::string before(512, 'x');
  for (size_t at = 0; at < before.size(); ++at) {
    std::string after = before;
    after[at] = 'y';
    const Diff diff = DiffPages(before, after);
    EXPECT_THAT(Ranges(diff.payload), ::testing::ElementsAre(Range{at, "y"}));
  }
}

TEST(Delta, RangesMergeOverEqualGapsOfUpToEightBytes) {
  const std::string before(512, 'x');
  for (size_t gap = 1; gap <= 20; ++gap) {
    std::string after = before;
    after[100] = after[101 + gap] = 'y';
    const Diff diff = DiffPages(before, after);
    EXPECT_EQ(Ranges(diff.payload).size(), gap <= 8 ? 1u : 2u) << gap;
    EXPECT_EQ(Applied(before, diff), after);
  }
}

TEST(Delta, AWholeImageIsSentWhereTheDiffIsNotSmaller) {
  const std::string before(512, 'x');
  EXPECT_TRUE(DiffPages(before, std::string(512, 'y')).is_full_image);
  // A range of n bytes at the front has a header of three: 509 bytes are as long as the page.
  for (const auto& [changed, is_full_image] : {std::pair(508, false), {509, true}}) {
    std::string after = before;
    after.replace(0, changed, static_cast<size_t>(changed), 'y');
    EXPECT_EQ(DiffPages(before, after).is_full_image, is_full_image) << changed;
  }
}

TEST(Delta, EncodedRangesAreAppliedInPlace) {
  std::string page(512, '.');
  const std::string payload = EncodeRanges({{0, "ab"}, {2, "c"}, {510, "yz"}});
  ASSERT_OK(ApplyPayload(payload, false, &page));
  EXPECT_EQ(page, "abc" + std::string(507, '.') + "yz");
  EXPECT_THAT(Ranges(payload),
              ::testing::ElementsAre(Range{0, "ab"}, Range{2, "c"}, Range{510, "yz"}));
  EXPECT_EQ(EncodeRanges({}), "");
}

std::string RawRange(uint64_t gap, uint64_t length, std::string_view bytes) {
  std::string payload;
  PutVarint(&payload, gap);
  PutVarint(&payload, length);
  return payload.append(bytes);
}

TEST(Delta, AMalformedPayloadLeavesThePageUntouched) {
  const std::string good = RawRange(0, 4, "good");
  for (const std::string& bad :
       {RawRange(0, 0, ""),            // empty range
        RawRange(0, 5, "four"),        // cut short
        RawRange(512, 1, "x"),         // beyond the page
        RawRange(511, 2, "xx"),        // across its end
        RawRange(UINT64_MAX, 1, "x"),  // overflows
        RawRange(1, UINT64_MAX, "x"),  // overflows
        RawRange(UINT64_MAX, UINT64_MAX, "x"), std::string("\x80"), std::string("\x01")}) {
    for (const std::string& payload : {bad, good + bad, good + good + bad}) {
      std::string page(512, '.');
      EXPECT_THAT(ApplyPayload(payload, false, &page), StatusIs(kDataLoss));
      EXPECT_EQ(page, std::string(512, '.'));
    }
  }
}

TEST(Delta, RangesMayReachTheEndOfThePageAndNoFurther) {
  std::string page(512, '.');
  EXPECT_OK(ApplyPayload(RawRange(0, 512, std::string(512, 'x')), false, &page));
  EXPECT_EQ(page, std::string(512, 'x'));
  EXPECT_OK(ApplyPayload(RawRange(511, 1, "y"), false, &page));
  EXPECT_THAT(ApplyPayload(RawRange(511, 1, "y") + RawRange(0, 1, "z"), false, &page),
              StatusIs(kDataLoss));
  EXPECT_EQ(page.back(), 'y');
}

TEST(Delta, AFullImageOfAnotherSizeIsRefused) {
  for (size_t size : {0, 511, 513, 4096}) {
    std::string page(512, '.');
    EXPECT_THAT(ApplyPayload(std::string(size, 'x'), true, &page), StatusIs(kDataLoss));
    EXPECT_EQ(page, std::string(512, '.'));
  }
}

TEST(Delta, RandomPayloadsNeverWriteOutsideThePage) {
  Prng prng(77);  // what this would break, AddressSanitizer sees
  for (int i = 0; i < 20000; ++i) {
    std::string page(512, '.');
    const std::string payload = RandomPage(&prng, prng.Below(40));
    (void)ApplyPayload(payload, false, &page);
    ASSERT_EQ(page.size(), 512u);
  }
}

}  // namespace
}  // namespace sextant::page
