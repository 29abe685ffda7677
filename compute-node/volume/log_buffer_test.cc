// Unit tests of LogBuffer: links, batches, and when they are sealed.
#include "compute-node/volume/log_buffer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::ElementsAre;

volume::Descriptor TwoGroups() {
  return {.volume = VolumeId(7),
          .geometry = {.page_bytes = 512, .pages_per_pg = 10, .pg_count = 2}};
}

page::PageChange Change(uint64_t page, uint64_t base = 0, size_t bytes = 4) {
  return {.page = PageNo(page), .base_lsn = Lsn(base), .payload = std::string(bytes, 'x')};
}

LogBuffer Buffer(LogBuffer::Options options = {}) {
  return LogBuffer(TwoGroups(), VolumeEpoch(3), Lsn(50), {Lsn(50), Lsn(40)}, options);
}

std::vector<log::RecordHeader> Headers(const log::EncodedBatch& batch) {
  std::vector<log::RecordHeader> headers;
  const auto view = log::DecodeBatch(*batch.bytes);
  EXPECT_TRUE(view.ok()) << view.status();
  for (const auto& entry : view->entries) headers.push_back(entry.record.header);
  return headers;
}

TEST(LogBuffer, LinksRecordsByVolumeGroupAndPage) {
  LogBuffer buffer = Buffer();
  EXPECT_THAT(
      buffer.Append({Change(1, 30), Change(11, 40), Change(2)}, Lsn(61)),
      ElementsAre(PgRun{PgId(0), Lsn(61)}, PgRun{PgId(1), Lsn(62)}, PgRun{PgId(0), Lsn(63)}));
  const log::RecordHeader first{.lsn = Lsn(61),
                                .prev_volume_lsn = Lsn(50),
                                .prev_pg_lsn = Lsn(50),
                                .prev_page_lsn = Lsn(30),
                                .page = PageNo(1),
                                .epoch = VolumeEpoch(3)};
  const log::RecordHeader second{.lsn = Lsn(62),
                                 .prev_volume_lsn = Lsn(61),
                                 .prev_pg_lsn = Lsn(40),
                                 .prev_page_lsn = Lsn(40),
                                 .page = PageNo(11),
                                 .epoch = VolumeEpoch(3)};
  const log::RecordHeader third{.lsn = Lsn(63),
                                .prev_volume_lsn = Lsn(62),
                                .prev_pg_lsn = Lsn(61),
                                .page = PageNo(2),
                                .epoch = VolumeEpoch(3),
                                .is_cpl = true};
  EXPECT_THAT(Headers(buffer.Seal(PgId(0), {.epoch = VolumeEpoch(3)})), ElementsAre(first, third));
  EXPECT_THAT(Headers(buffer.Seal(PgId(1), {.epoch = VolumeEpoch(3)})), ElementsAre(second));
}

TEST(LogBuffer, ABatchFillsWhileOthersAreInFlight) {
  LogBuffer buffer = Buffer({.max_batches_in_flight = 1});
  buffer.Append({Change(1)}, Lsn(51));
  ASSERT_TRUE(buffer.MaySeal(PgId(0)));
  EXPECT_FALSE(buffer.MaySeal(PgId(1)));
  EXPECT_EQ(buffer.Seal(PgId(0), {}).last_lsn, Lsn(51));
  buffer.Append({Change(2)}, Lsn(52));
  buffer.Append({Change(3)}, Lsn(53));
  EXPECT_FALSE(buffer.MaySeal(PgId(0)));
  buffer.QuorumReached(PgId(0), Lsn(51));
  ASSERT_TRUE(buffer.MaySeal(PgId(0)));
  const log::EncodedBatch batch = buffer.Seal(PgId(0), {});
  EXPECT_EQ(batch.first_lsn, Lsn(52));
  EXPECT_EQ(batch.last_lsn, Lsn(53));
  EXPECT_EQ(buffer.last_sealed(PgId(0)), Lsn(53));
  EXPECT_FALSE(buffer.IsIdle(PgId(0)));
  buffer.QuorumReached(PgId(0), Lsn(53));
  EXPECT_TRUE(buffer.IsIdle(PgId(0)));
}

TEST(LogBuffer, ALargeBatchDoesNotWaitForThoseInFlight) {
  LogBuffer buffer = Buffer({.max_batches_in_flight = 2, .min_overlap_bytes = 200});
  buffer.Append({Change(1)}, Lsn(51));
  EXPECT_EQ(buffer.Seal(PgId(0), {}).last_lsn, Lsn(51));
  buffer.Append({Change(2)}, Lsn(52));
  EXPECT_FALSE(buffer.MaySeal(PgId(0)));
  buffer.Append({Change(3, 0, 200)}, Lsn(53));
  ASSERT_TRUE(buffer.MaySeal(PgId(0)));
  EXPECT_EQ(buffer.Seal(PgId(0), {}).last_lsn, Lsn(53));
  // Two are in flight: the next waits however large it is, and when one of them is left too, unless
  // it is large.
  buffer.Append({Change(4, 0, 200)}, Lsn(54));
  EXPECT_FALSE(buffer.MaySeal(PgId(0)));
  buffer.QuorumReached(PgId(0), Lsn(51));
  EXPECT_TRUE(buffer.MaySeal(PgId(0)));
}

TEST(LogBuffer, AFullBatchDoesNotWaitEither) {
  LogBuffer buffer =
      Buffer({.max_batches_in_flight = 2, .min_overlap_bytes = 10'000, .max_batch_bytes = 300});
  buffer.Append({Change(1)}, Lsn(51));
  buffer.Seal(PgId(0), {});
  buffer.Append({Change(2, 0, 150)}, Lsn(52));
  EXPECT_FALSE(buffer.MaySeal(PgId(0)));
  buffer.Append({Change(3, 0, 150)}, Lsn(53));
  ASSERT_TRUE(buffer.MaySeal(PgId(0)));
  EXPECT_EQ(buffer.Seal(PgId(0), {}).last_lsn, Lsn(52));
}

TEST(LogBuffer, ALongMtrBecomesSeveralBatchesWithOneCpl) {
  LogBuffer buffer =
      Buffer({.max_batches_in_flight = 100, .min_overlap_bytes = 0, .max_batch_bytes = 500});
  std::vector<page::PageChange> changes;
  for (uint64_t page = 0; page < 10; ++page) changes.push_back(Change(page, 0, 200));
  buffer.Append(changes, Lsn(51));
  std::vector<log::RecordHeader> all;
  int batches = 0;
  for (; buffer.MaySeal(PgId(0)); ++batches) {
    const log::EncodedBatch batch = buffer.Seal(PgId(0), {});
    EXPECT_LE(batch.header.body_bytes, 500u);
    for (const auto& header : Headers(batch)) all.push_back(header);
  }
  EXPECT_GE(batches, 5);
  ASSERT_EQ(all.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(all[i].lsn, Lsn(51 + i));
    EXPECT_EQ(all[i].is_cpl, i == 9);
  }
}

TEST(LogBuffer, ARecordLargerThanABatchGoesAlone) {
  LogBuffer buffer = Buffer({.max_batch_bytes = 100});
  buffer.Append({Change(0), Change(1, 0, 5000), Change(2)}, Lsn(51));
  EXPECT_EQ(buffer.Seal(PgId(0), {}).last_lsn, Lsn(51));
  EXPECT_EQ(buffer.Seal(PgId(0), {}).last_lsn, Lsn(52));
}

TEST(LogBuffer, CountsBytesUntilTheirQuorum) {
  LogBuffer buffer = Buffer();
  buffer.Append({Change(1), Change(11)}, Lsn(51));
  const uint64_t both = buffer.unacked_bytes();
  EXPECT_GT(both, 8u);
  EXPECT_EQ(buffer.encoded_bytes(), both);
  const uint64_t first = buffer.Seal(PgId(0), {}).header.body_bytes;
  buffer.QuorumReached(PgId(0), Lsn(51));
  EXPECT_EQ(buffer.unacked_bytes(), both - first);
  EXPECT_EQ(buffer.encoded_bytes(), both);
}

TEST(LogBuffer, AHeartbeatHasNoRecords) {
  const log::EncodedBatch batch = Buffer().SealHeartbeat(PgId(1), {.vdl = Lsn(9)});
  EXPECT_EQ(batch.header.record_count, 0u);
  EXPECT_EQ(batch.header.vdl, Lsn(9));
  EXPECT_EQ(batch.header.pg, PgId(1));
  EXPECT_EQ(batch.first_lsn, Lsn());
}

}  // namespace
}  // namespace sextant::compute
