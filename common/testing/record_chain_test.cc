// The oracle itself: its links are the ones the protocol asks for, its pages what the payloads
// make.
#include "common/testing/record_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "common/page/delta.h"
#include "common/testing/status_matchers.h"

namespace sextant::testing {
namespace {

const volume::Geometry kGeometry = {.page_bytes = 512, .pages_per_pg = 8, .pg_count = 3};

// Links recomputed in one forward pass, another way than RecordChain finds them.
void ExpectChained(const RecordChain& chain) {
  Lsn volume;
  std::map<PgId, Lsn> pgs;
  std::map<PageNo, Lsn> pages;
  for (const log::RedoRecord& record : chain.records()) {
    const log::RecordHeader& h = record.header;
    Lsn& pg = pgs[chain.geometry().PgOf(h.page)];
    Lsn& page = pages[h.page];
    EXPECT_EQ(h.prev_volume_lsn, volume);
    EXPECT_EQ(h.prev_pg_lsn, pg);
    EXPECT_EQ(h.prev_page_lsn, page);
    EXPECT_GT(h.lsn, volume);
    volume = pg = page = h.lsn;
  }
}

TEST(RecordChain, LinksOfRandomMtrsAreRight) {
  Prng prng(1);
  RecordChain chain(VolumeId(7), kGeometry);
  for (int i = 0; i < 200; ++i) {
    const auto records = chain.RandomMtr(&prng);
    for (size_t r = 0; r < records.size(); ++r) {
      EXPECT_EQ(records[r].header.is_cpl, r + 1 == records.size());
    }
  }
  ExpectChained(chain);
  EXPECT_EQ(chain.last_lsn().value(), chain.records().size());
}

TEST(RecordChain, PageAtEqualsThePayloadsApplied) {
  Prng prng(2);
  RecordChain chain(VolumeId(7), kGeometry);
  for (int i = 0; i < 100; ++i) chain.RandomMtr(&prng);
  for (uint64_t page = 0; page < kGeometry.PageCount(); ++page) {
    std::string image(kGeometry.page_bytes, '\0');
    for (const log::RedoRecord& record : chain.records()) {
      if (record.header.page != PageNo(page)) continue;
      ASSERT_OK(page::ApplyPayload(record.payload, record.header.is_full_image, &image));
      ASSERT_EQ(chain.PageAt(PageNo(page), record.header.lsn), image);
    }
  }
}

TEST(RecordChain, TruncateForgetsAndLeavesAGap) {
  RecordChain chain(VolumeId(7), kGeometry);
  chain.Write(PageNo(0), 0, "kept");
  chain.Write(PageNo(0), 0, "lost");
  chain.Truncate(Lsn(1), Lsn(100), VolumeEpoch(2));
  const log::RedoRecord next = chain.Write(PageNo(0), 4, "new");
  EXPECT_EQ(next.header.lsn, Lsn(101));
  EXPECT_EQ(next.header.prev_volume_lsn, Lsn(1));
  EXPECT_EQ(next.header.epoch, VolumeEpoch(2));
  EXPECT_EQ(chain.PageAt(PageNo(0), Lsn(101)).substr(0, 7), "keptnew");
  ExpectChained(chain);
}

TEST(RecordChain, ABatchHoldsTheRecordsOfItsProtectionGroupOnly) {
  RecordChain chain(VolumeId(7), kGeometry);
  chain.Mtr({{PageNo(0), 0, "a"}, {PageNo(9), 0, "b"}, {PageNo(1), 0, "c"}});
  const log::EncodedBatch batch = chain.Batch(PgId(0), Lsn(0), Lsn(UINT64_MAX), Lsn(2));
  const auto view = log::DecodeBatch(*batch.bytes);
  ASSERT_OK(view);
  ASSERT_EQ(view->entries.size(), 2u);
  EXPECT_EQ(view->entries[1].record.header.lsn, Lsn(3));
  EXPECT_EQ(view->header.vdl, Lsn(2));
  EXPECT_EQ(view->header.pg_lsn_at_vdl, Lsn(1));
}

}  // namespace
}  // namespace sextant::testing
