// Mini-transactions survive the redo stream, and damage does not pass for one.
#include "common/protocol/mtr_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace sextant::protocol {
namespace {

RedoMtr Sample() {
  RedoMtr mtr{.prev_lsn = Lsn(6), .first_lsn = Lsn(1000), .commit_lsn = Lsn(1002)};
  mtr.changes.push_back({PageNo(0), Lsn(0), false, "abc"});
  mtr.changes.push_back({PageNo(77), Lsn(1), true, std::string(4096, 'x')});
  mtr.changes.push_back({PageNo(300), Lsn(6), false, ""});
  return mtr;
}

TEST(MtrCodec, SurvivesTheStream) {
  std::string bytes;
  EncodeMtr(Sample(), /*as_notice=*/false, &bytes);
  EncodeMtr(Sample(), /*as_notice=*/true, &bytes);
  std::string_view in = bytes;
  const auto whole = DecodeMtr(&in);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(*whole, Sample());
  const auto notice = DecodeMtr(&in);
  ASSERT_TRUE(notice.ok()) << notice.status();
  RedoMtr expected = Sample();
  expected.is_notice = true;
  for (auto& change : expected.changes) change.payload.clear();
  EXPECT_EQ(*notice, expected);
  EXPECT_TRUE(in.empty());
}

// docs/FORMATS.md shows these bytes.
TEST(MtrCodec, LayoutIsAsDocumented) {
  RedoMtr mtr{.prev_lsn = Lsn(6), .first_lsn = Lsn(7), .commit_lsn = Lsn(7)};
  mtr.changes.push_back({PageNo(300), Lsn(5), false, "hi"});
  std::string bytes;
  EncodeMtr(mtr, false, &bytes);
  std::string hex;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[c & 15];
  }
  EXPECT_EQ(hex, "09eefad7fb070102ac0202046869");
}

TEST(MtrCodec, DamageIsNeverAnotherMtr) {
  std::string bytes;
  EncodeMtr(Sample(), false, &bytes);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 1 << (i % 8);
    std::string_view in = damaged;
    EXPECT_EQ(DecodeMtr(&in).status().code(), absl::StatusCode::kDataLoss) << "byte " << i;
    in = std::string_view(bytes).substr(0, i);
    EXPECT_EQ(DecodeMtr(&in).status().code(), absl::StatusCode::kDataLoss) << "cut at " << i;
  }
}

TEST(MtrCodec, AnyBytesAreRefusedOrReadWithoutACrash) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 8);
    std::string_view in = bytes;
    (void)DecodeMtr(&in);
  }
}

}  // namespace
}  // namespace sextant::protocol
