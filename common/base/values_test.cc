// The small value types: StrongInt, Instant, Prng, Text, byte sizes, volume ids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <type_traits>

#include "common/base/byte_size.h"
#include "common/base/ids.h"
#include "common/base/instant.h"
#include "common/base/prng.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/log/lsn.h"
#include "common/testing/status_matchers.h"

namespace sextant {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::StatusIs;

TEST(StrongInt, OrdersAddsAndSubtracts) {
  EXPECT_LT(Lsn(1), Lsn(2));
  EXPECT_EQ(Lsn(), Lsn(0));
  EXPECT_EQ(Lsn(7).Next(), Lsn(8));
  EXPECT_EQ(Lsn(7) + 3, Lsn(10));
  EXPECT_EQ(Lsn(10) - Lsn(7), 3u);
  EXPECT_EQ(ToString(Lsn(UINT64_MAX)), "18446744073709551615");
}

TEST(StrongInt, TypesDoNotMix) {
  static_assert(!std::is_convertible_v<uint64_t, Lsn>);
  static_assert(!std::is_convertible_v<Lsn, uint64_t>);
  static_assert(!std::is_constructible_v<Lsn, PageNo>);
  static_assert(!std::is_assignable_v<Lsn&, VolumeEpoch>);
  static_assert(sizeof(PgId) == 4 && sizeof(Lsn) == 8);
}

TEST(Ids, VolumeIdsAreSixteenHexDigits) {
  EXPECT_EQ(FormatVolumeId(VolumeId(0)), "0000000000000000");
  EXPECT_EQ(FormatVolumeId(VolumeId(0x0123456789abcdef)), "0123456789abcdef");
  EXPECT_EQ(FormatVolumeId(VolumeId(UINT64_MAX)), "ffffffffffffffff");
}

TEST(Instant, AddsAndSaturates) {
  const Instant start = Instant::FromNanos(1000);
  EXPECT_EQ((start + absl::Nanoseconds(5)).nanos(), 1005);
  EXPECT_EQ((start + absl::Nanoseconds(5)) - start, absl::Nanoseconds(5));
  EXPECT_EQ(start + absl::InfiniteDuration(), Instant::Max());
  EXPECT_EQ(Instant::Max() + absl::Seconds(1), Instant::Max());
  EXPECT_EQ(Instant::Min() + -absl::Seconds(1), Instant::Min());
  EXPECT_GT(Instant::Max() - Instant::Min(), absl::Hours(24 * 365 * 500));
}

TEST(Prng, NumbersAreTheSameEverywhere) {
  Prng prng(1234567);  // the published values of SplitMix64 for this seed
  EXPECT_EQ(prng.Next(), 6457827717110365317ull);
  EXPECT_EQ(prng.Next(), 3203168211198807973ull);
  EXPECT_EQ(prng.Next(), 9817491932198370423ull);
}

TEST(Prng, EqualSeedsGiveEqualSequencesAndOthersDoNot) {
  Prng a(5), b(5), c(6);
  std::set<uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    const uint64_t number = a.Next();
    EXPECT_EQ(number, b.Next());
    EXPECT_NE(number, c.Next());
    EXPECT_TRUE(seen.insert(number).second);
  }
}

TEST(Prng, StaysWithinBoundsAndReachesThem) {
  Prng prng(9);
  std::set<uint64_t> below, between;
  for (int i = 0; i < 1000; ++i) {
    below.insert(prng.Below(5));
    between.insert(prng.Between(10, 13));
  }
  EXPECT_THAT(below, ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(between, ::testing::ElementsAre(10, 11, 12, 13));
  EXPECT_EQ(prng.Between(7, 7), 7u);
  (void)prng.Between(0, UINT64_MAX);
}

TEST(Text, JoinsStringsNumbersViewsAndStrongInts) {
  const std::string_view view = "view";
  const std::string text = "text";
  EXPECT_EQ(Text("lsn ", Lsn(3), " pg ", PgId(4), " ", view, " ", text, " ", -5, " ", 2.5),
            "lsn 3 pg 4 view text -5 2.5");
  EXPECT_EQ(Text(), "");
}

absl::Status Fails() { return absl::AbortedError("no"); }
absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError(Text(n, " is odd"));
  return n / 2;
}
absl::StatusOr<int> Quarter(int n) {
  ASSIGN_OR_RETURN(const int half, Half(n));
  ASSIGN_OR_RETURN(int quarter, Half(half));
  return quarter;
}
absl::StatusOr<int> FailsFirst() {
  RETURN_IF_ERROR(absl::OkStatus());
  RETURN_IF_ERROR(Fails());
  return 1;
}

TEST(Status, MacrosReturnErrorsAndGoOnOtherwise) {
  EXPECT_THAT(Quarter(12), IsOkAndHolds(3));
  EXPECT_THAT(Quarter(6), StatusIs(absl::StatusCode::kInvalidArgument, "3 is odd"));
  EXPECT_THAT(FailsFirst(), StatusIs(absl::StatusCode::kAborted));
}

TEST(ByteSize, ReadsBytesAndBinaryUnits) {
  for (const auto& [text, bytes] :
       std::vector<std::pair<std::string, uint64_t>>{{"0", 0},
                                                     {"4096", 4096},
                                                     {"12B", 12},
                                                     {"64KiB", 64 << 10},
                                                     {"64kib", 64 << 10},
                                                     {"64K", 64 << 10},
                                                     {"3MiB", 3 << 20},
                                                     {"10GiB", 10ull << 30},
                                                     {"2T", 2ull << 40},
                                                     {"16777215TiB", 16777215ull << 40},
                                                     {"18446744073709551615", UINT64_MAX}}) {
    EXPECT_THAT(ParseByteSize(text), IsOkAndHolds(bytes)) << text;
  }
}

TEST(ByteSize, RefusesEverythingElse) {
  for (const char* text : {"", "KiB", "-1", "+1", " 1", "1 ", "1 KiB", "1.5GiB", "0x10", "1KB",
                           "1MB", "1Ki", "1KiBs", "1PiB", "18446744073709551616", "16777216TiB"}) {
    EXPECT_THAT(ParseByteSize(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)))
        << text;
  }
}

TEST(ByteSize, FormatsShortAndExactly) {
  EXPECT_EQ(FormatByteSize(0), "0");
  EXPECT_EQ(FormatByteSize(1023), "1023");
  EXPECT_EQ(FormatByteSize(65536), "64KiB");
  EXPECT_EQ(FormatByteSize(65537), "65537");
  EXPECT_EQ(FormatByteSize(10ull << 30), "10GiB");
  EXPECT_EQ(FormatByteSize(1ull << 60), "1048576TiB");
  Prng prng(3);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t bytes = prng.Next() >> prng.Below(64) << prng.Below(30);
    EXPECT_THAT(ParseByteSize(FormatByteSize(bytes)), IsOkAndHolds(bytes));
  }
}

}  // namespace
}  // namespace sextant
