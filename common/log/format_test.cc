// The bytes of docs/FORMATS.md, pinned: a change here is a new format version, not a new
// expectation.
#include <gtest/gtest.h>

#include <string>

#include "common/log/batch.h"
#include "common/page/delta.h"
#include "common/testing/status_matchers.h"

namespace sextant::log {
namespace {

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : bytes) {
    if (!text.empty()) text.push_back(' ');
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

const VolumeId kVolume(0x0123456789abcdef);
const RecordHeader kHeader = {.lsn = Lsn(300),
                              .prev_volume_lsn = Lsn(299),
                              .prev_pg_lsn = Lsn(299),
                              .prev_page_lsn = Lsn(0),
                              .page = PageNo(7),
                              .epoch = VolumeEpoch(2),
                              .is_cpl = true};
const std::string kPayloadHex = "64 05 68 65 6c 6c 6f 0f 01 21";
const std::string kRecordHex = "e0 0f e2 c2 01 ac 02 01 01 ac 02 07 02 0a " + kPayloadHex;
const std::string kBatchHex =
    "15 a4 9c 72 16 00 02 ef cd ab 89 67 45 23 01 00 02 01 ab 02 ab 02 fa 01 f0 01 01 18 " +
    kRecordHex;

TEST(Formats, ExampleOfTheDocument) {
  const std::string payload = page::EncodeRanges({{100, "hello"}, {120, "!"}});
  EXPECT_EQ(Hex(payload), kPayloadHex);

  std::string record;
  EncodeRecord(kVolume, PgId(0), kHeader, payload, &record);
  EXPECT_EQ(Hex(record), kRecordHex);

  BatchBuilder builder(kVolume, PgId(0));
  builder.Add(kHeader, payload);
  const EncodedBatch batch = builder.Seal({.epoch = VolumeEpoch(2),
                                           .membership = MembershipEpoch(1),
                                           .vdl = Lsn(299),
                                           .pg_lsn_at_vdl = Lsn(299),
                                           .pgmrpl = Lsn(250),
                                           .held_by_all = Lsn(240)});
  EXPECT_EQ(Hex(*batch.bytes), kBatchHex);
}

}  // namespace
}  // namespace sextant::log
