// The batch codec: round trips, heartbeats, and every way in which a batch can be damaged.
#include "common/log/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/prng.h"
#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"

namespace sextant::log {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::RecordChain;
using testing::StatusIs;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
const volume::Geometry kGeometry = {.page_bytes = 512, .pages_per_pg = 8, .pg_count = 2};
const BatchHeader kSaid = {.epoch = VolumeEpoch(4),
                           .membership = MembershipEpoch(2),
                           .vdl = Lsn(9),
                           .pg_lsn_at_vdl = Lsn(8),
                           .pgmrpl = Lsn(7)};

RecordChain SomeChain(uint64_t seed, int mtrs) {
  Prng prng(seed);
  RecordChain chain(VolumeId(7), kGeometry);
  for (int i = 0; i < mtrs; ++i) chain.RandomMtr(&prng);
  return chain;
}

// A batch around a body made by hand, with a header that is right about everything but the body.
std::string WithHeader(uint64_t record_count, std::string_view body) {
  std::string covered("\x02", 1);
  PutFixed64(&covered, 7);
  for (uint64_t field : {0, 1, 1, 0, 0, 0, 0}) PutVarint(&covered, field);
  PutVarint(&covered, record_count);
  PutVarint(&covered, body.size());
  std::string bytes;
  PutFixed32(&bytes, Crc32c(covered));
  bytes.push_back(static_cast<char>(covered.size()));
  bytes.push_back('\0');
  return bytes.append(covered).append(body);
}

TEST(Batch, RoundTripsRandomRecords) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const RecordChain chain = SomeChain(seed, 20);
    const auto records = chain.RecordsOf(PgId(1));
    BatchBuilder builder(VolumeId(7), PgId(1));
    EXPECT_TRUE(builder.empty());
    for (const RedoRecord& record : records) builder.Add(record.header, record.payload);
    EXPECT_EQ(builder.last_lsn(), records.back().header.lsn);
    const EncodedBatch batch = builder.Seal(kSaid);
    EXPECT_TRUE(builder.empty());
    EXPECT_EQ(batch.first_lsn, records.front().header.lsn);
    EXPECT_EQ(batch.last_lsn, records.back().header.lsn);

    const auto view = DecodeBatch(*batch.bytes);
    ASSERT_OK(view);
    EXPECT_EQ(view->header, batch.header);
    ASSERT_EQ(view->entries.size(), records.size());
    for (size_t i = 0; i < records.size(); ++i) {
      const BatchView::Entry& entry = view->entries[i];
      EXPECT_EQ(entry.record.header, records[i].header);
      EXPECT_EQ(entry.record.payload, records[i].payload);
      std::string_view alone = std::string_view(*batch.bytes).substr(entry.offset, entry.size);
      EXPECT_OK(DecodeRecord(VolumeId(7), PgId(1), &alone));
      EXPECT_TRUE(alone.empty());
    }
  }
}

TEST(Batch, WrapFindsWhatSealKnew) {
  const EncodedBatch sealed = SomeChain(3, 20).Batch(PgId(0), Lsn(0));
  const auto wrapped = WrapBatch(sealed.bytes);
  ASSERT_OK(wrapped);
  EXPECT_EQ(wrapped->header, sealed.header);
  EXPECT_EQ(wrapped->first_lsn, sealed.first_lsn);
  EXPECT_EQ(wrapped->last_lsn, sealed.last_lsn);
  EXPECT_EQ(wrapped->bytes, sealed.bytes);
}

TEST(Batch, AHeartbeatHasAHeaderAndNoRecords) {
  BatchBuilder builder(VolumeId(7), PgId(1));
  const EncodedBatch batch = builder.Seal(kSaid);
  EXPECT_EQ(batch.first_lsn, Lsn(0));
  EXPECT_EQ(batch.last_lsn, Lsn(0));
  const auto view = DecodeBatch(*batch.bytes);
  ASSERT_OK(view);
  EXPECT_TRUE(view->entries.empty());
  EXPECT_EQ(view->header.volume, VolumeId(7));
  EXPECT_EQ(view->header.pg, PgId(1));
  EXPECT_EQ(view->header.vdl, kSaid.vdl);
  EXPECT_EQ(view->header.pg_lsn_at_vdl, kSaid.pg_lsn_at_vdl);
  EXPECT_EQ(view->header.pgmrpl, kSaid.pgmrpl);
  EXPECT_OK(WrapBatch(batch.bytes));
}

TEST(Batch, ABuilderIsReusableAfterSeal) {
  BatchBuilder builder(VolumeId(7), PgId(0));
  builder.Add({.lsn = Lsn(9)}, "a");
  (void)builder.Seal({});
  builder.Add({.lsn = Lsn(3)}, "b");
  EXPECT_EQ(builder.Seal({}).first_lsn, Lsn(3));
}

TEST(Batch, TheHeaderAloneCanBeRead) {
  const EncodedBatch batch = SomeChain(4, 5).Batch(PgId(0), Lsn(0));
  EXPECT_THAT(DecodeBatchHeader(*batch.bytes), IsOkAndHolds(batch.header));
}

TEST(Batch, HeaderExtremesFit) {
  const uint64_t most = UINT64_MAX;
  BatchBuilder builder{VolumeId(most), PgId(UINT32_MAX)};
  const EncodedBatch batch = builder.Seal({.epoch = VolumeEpoch(most),
                                           .membership = MembershipEpoch(most),
                                           .vdl = Lsn(most),
                                           .pg_lsn_at_vdl = Lsn(most),
                                           .pgmrpl = Lsn(most)});
  EXPECT_LE(batch.bytes->size(), kMaxBatchHeaderBytes);
  EXPECT_THAT(DecodeBatchHeader(*batch.bytes), IsOkAndHolds(batch.header));
}

TEST(Batch, AFullBuilderSealsWithinTheLimit) {
  BatchBuilder builder(VolumeId(7), PgId(0));
  const std::string payload(kMaxPayloadBytes, 'x');
  uint64_t lsn = 0;
  while (builder.HasRoomFor(payload.size())) builder.Add({.lsn = Lsn(++lsn)}, payload);
  while (builder.HasRoomFor(0)) builder.Add({.lsn = Lsn(++lsn)}, "");
  const EncodedBatch batch = builder.Seal(kSaid);
  EXPECT_LE(batch.bytes->size(), kMaxBatchBytes);
  EXPECT_GT(batch.bytes->size(), kMaxBatchBytes - 200);
  EXPECT_OK(WrapBatch(batch.bytes));
}

TEST(Batch, EveryChangedByteIsDetected) {
  Prng prng(5);
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const std::string good = *SomeChain(seed, 4).Batch(PgId(seed % 2), Lsn(0)).bytes;
    for (size_t at = 0; at < good.size(); ++at) {
      for (int flip : {0x01, 0x80, static_cast<int>(prng.Between(1, 255))}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ flip);
        EXPECT_THAT(DecodeBatch(bad), StatusIs(kDataLoss)) << "byte " << at << " xor " << flip;
      }
    }
  }
}

TEST(Batch, EveryTruncationAndEveryExtraByteIsDetected) {
  const std::string good = *SomeChain(6, 6).Batch(PgId(0), Lsn(0)).bytes;
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(DecodeBatch(std::string_view(good).substr(0, size)), StatusIs(kDataLoss)) << size;
  }
  EXPECT_THAT(DecodeBatch(good + '\0'), StatusIs(kDataLoss));
  EXPECT_THAT(DecodeBatch(good + good), StatusIs(kDataLoss));
}

TEST(Batch, RecordsOfAnotherVolumeOrProtectionGroupAreDataLoss) {
  std::string body;
  EncodeRecord(VolumeId(7), PgId(0), {.lsn = Lsn(1)}, "x", &body);
  EXPECT_OK(DecodeBatch(WithHeader(1, body)));
  for (const auto& [volume, pg] : {std::pair(VolumeId(8), PgId(0)), {VolumeId(7), PgId(1)}}) {
    body.clear();
    EncodeRecord(volume, pg, {.lsn = Lsn(1)}, "x", &body);
    EXPECT_THAT(DecodeBatch(WithHeader(1, body)), StatusIs(kDataLoss));
  }
}

TEST(Batch, RecordsMustAscend) {
  for (const auto& [first, second] : {std::pair(2, 1), {2, 2}}) {
    std::string body;
    EncodeRecord(VolumeId(7), PgId(0), {.lsn = Lsn(first)}, "x", &body);
    EncodeRecord(VolumeId(7), PgId(0), {.lsn = Lsn(second)}, "x", &body);
    EXPECT_THAT(DecodeBatch(WithHeader(2, body)), StatusIs(kDataLoss, HasSubstr("ascend")));
  }
}

TEST(Batch, TheRecordCountMustMatchAndBoundsWhatDecodingAllocates) {
  std::string body;
  EncodeRecord(VolumeId(7), PgId(0), {.lsn = Lsn(1)}, std::string(100, 'x'), &body);
  EXPECT_OK(DecodeBatch(WithHeader(1, body)));
  EXPECT_THAT(DecodeBatch(WithHeader(0, body)), StatusIs(kDataLoss));
  EXPECT_THAT(DecodeBatch(WithHeader(2, body)), StatusIs(kDataLoss, HasSubstr("record count")));
  EXPECT_THAT(DecodeBatch(WithHeader(1, "")), StatusIs(kDataLoss, HasSubstr("impossible")));
  for (uint64_t count : {body.size(), size_t{UINT32_MAX}, size_t{UINT64_MAX}}) {
    EXPECT_THAT(DecodeBatch(WithHeader(count, body)), StatusIs(kDataLoss, HasSubstr("impossible")));
  }
}

TEST(Batch, RandomBytesAreNeverABatch) {
  Prng prng(8);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (uint64_t n = prng.Below(80); n > 0; --n) bytes.push_back(static_cast<char>(prng.Next()));
    EXPECT_THAT(DecodeBatch(bytes), StatusIs(kDataLoss));
  }
}

TEST(BatchDeathTest, ABuilderRefusesRecordsOutOfOrder) {
  BatchBuilder builder(VolumeId(7), PgId(0));
  builder.Add({.lsn = Lsn(2)}, "x");
  EXPECT_DEATH(builder.Add({.lsn = Lsn(2)}, "x"), "must ascend");
}

}  // namespace
}  // namespace sextant::log
