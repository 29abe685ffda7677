// The record codec: what was encoded comes back, and nothing else is ever taken for a record.
#include "common/log/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/prng.h"
#include "common/testing/status_matchers.h"

namespace sextant::log {
namespace {

using testing::StatusIs;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
const VolumeId kVolume(0xfeedfacecafebeef);
const PgId kPg(3);

// Numbers of every magnitude are equally likely.
uint64_t AnyMagnitude(Prng* prng) { return prng->Next() >> prng->Below(64); }

RedoRecord RandomRecord(Prng* prng) {
  const uint64_t lsn = std::max<uint64_t>(1, AnyMagnitude(prng));
  RedoRecord record;
  record.header = {.lsn = Lsn(lsn),
                   .prev_volume_lsn = Lsn(prng->Below(lsn)),
                   .prev_pg_lsn = Lsn(prng->Below(lsn)),
                   .prev_page_lsn = Lsn(prng->OneIn(3) ? 0 : prng->Below(lsn)),
                   .page = PageNo(AnyMagnitude(prng)),
                   .epoch = VolumeEpoch(AnyMagnitude(prng)),
                   .is_cpl = prng->OneIn(2),
                   .is_full_image = prng->OneIn(2)};
  for (uint64_t n = prng->Below(80); n > 0; --n) {
    record.payload.push_back(static_cast<char>(prng->Next()));
  }
  return record;
}

std::string Encoded(const RedoRecord& record) {
  std::string out;
  EncodeRecord(kVolume, kPg, record.header, record.payload, &out);
  return out;
}

absl::StatusOr<RecordView> Decoded(std::string_view bytes) {
  return DecodeRecord(kVolume, kPg, &bytes);
}

TEST(Record, RoundTripsAndTakesExactlyItsBytes) {
  Prng prng(1);
  for (int i = 0; i < 2000; ++i) {
    const RedoRecord first = RandomRecord(&prng), second = RandomRecord(&prng);
    std::string bytes = "prefix";
    EncodeRecord(kVolume, kPg, first.header, first.payload, &bytes);
    EncodeRecord(kVolume, kPg, second.header, second.payload, &bytes);
    EXPECT_LE(bytes.size(),
              6 + 2 * kMaxRecordOverheadBytes + first.payload.size() + second.payload.size());
    std::string_view in = std::string_view(bytes).substr(6);
    for (const RedoRecord& record : {first, second}) {
      const auto view = DecodeRecord(kVolume, kPg, &in);
      ASSERT_OK(view);
      EXPECT_EQ(view->header, record.header);
      EXPECT_EQ(view->payload, record.payload);
    }
    EXPECT_TRUE(in.empty());
  }
}

TEST(Record, ExtremesRoundTrip) {
  RedoRecord record;
  record.header = {.lsn = Lsn(UINT64_MAX),
                   .page = PageNo(UINT64_MAX),
                   .epoch = VolumeEpoch(UINT64_MAX),
                   .is_cpl = true,
                   .is_full_image = true};
  record.payload.assign(kMaxPayloadBytes, 'x');
  const std::string bytes = Encoded(record);
  EXPECT_LE(bytes.size(), kMaxRecordOverheadBytes + kMaxPayloadBytes);
  const auto view = Decoded(bytes);
  ASSERT_OK(view);
  EXPECT_EQ(view->header, record.header);
  EXPECT_EQ(view->payload, record.payload);

  const std::string smallest = Encoded({.header = {.lsn = Lsn(1)}, .payload = ""});
  EXPECT_EQ(smallest.size(), kMinRecordBytes);
  EXPECT_OK(Decoded(smallest));
}

TEST(Record, EveryChangedByteIsDetected) {
  Prng prng(2);
  for (int i = 0; i < 60; ++i) {
    const std::string good = Encoded(RandomRecord(&prng));
    for (size_t at = 0; at < good.size(); ++at) {
      for (int flip : {0x01, 0x80, 0xff, static_cast<int>(prng.Between(1, 255))}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ flip);
        EXPECT_THAT(Decoded(bad), StatusIs(kDataLoss)) << "byte " << at << " xor " << flip;
      }
    }
  }
}

TEST(Record, EveryTruncationIsDetected) {
  Prng prng(3);
  for (int i = 0; i < 60; ++i) {
    const std::string good = Encoded(RandomRecord(&prng));
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_THAT(Decoded(std::string_view(good).substr(0, size)), StatusIs(kDataLoss)) << size;
    }
  }
}

TEST(Record, RightBytesAtTheWrongPlaceAreDataLoss) {
  Prng prng(4);
  const std::string bytes = Encoded(RandomRecord(&prng));
  std::string_view in = bytes;
  EXPECT_THAT(DecodeRecord(VolumeId(1), kPg, &in), StatusIs(kDataLoss));
  in = bytes;
  EXPECT_THAT(DecodeRecord(kVolume, PgId(4), &in), StatusIs(kDataLoss));
}

TEST(Record, RandomBytesAreNeverARecord) {
  Prng prng(5);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (uint64_t n = prng.Below(60); n > 0; --n) bytes.push_back(static_cast<char>(prng.Next()));
    EXPECT_THAT(Decoded(bytes), StatusIs(kDataLoss));
  }
}

TEST(RecordDeathTest, LinksMustPointBackwards) {
  std::string out;
  EXPECT_DEATH(EncodeRecord(kVolume, kPg, {.lsn = Lsn(5), .prev_pg_lsn = Lsn(5)}, "", &out),
               "must point backwards");
  EXPECT_DEATH(EncodeRecord(kVolume, kPg, {.lsn = Lsn(0)}, "", &out), "must point backwards");
}

}  // namespace
}  // namespace sextant::log
