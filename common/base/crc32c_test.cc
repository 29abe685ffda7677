// CRC32C against published values (RFC 3720, appendix B.4), and the two implementations against
// each other.
#include "common/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/prng.h"

namespace sextant {
namespace {

std::string RandomBytes(Prng* prng, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(prng->Next()));
  return bytes;
}

TEST(Crc32c, KnownValues) {
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending.push_back(static_cast<char>(i));
    descending.push_back(static_cast<char>(31 - i));
  }
  for (auto* crc : {&Crc32c, &Crc32cPortable}) {
    EXPECT_EQ(crc("", 0), 0u);
    EXPECT_EQ(crc("123456789", 0), 0xe3069283u);
    EXPECT_EQ(crc(std::string(32, '\0'), 0), 0x8a9136aau);
    EXPECT_EQ(crc(std::string(32, '\xff'), 0), 0x62a8ab43u);
    EXPECT_EQ(crc(ascending, 0), 0x46dd794eu);
    EXPECT_EQ(crc(descending, 0), 0x113fdb5cu);
  }
}

TEST(Crc32c, BothImplementationsAgreeAtEveryLengthAndAlignment) {
  Prng prng(1);
  const std::string bytes = RandomBytes(&prng, 300);
  for (size_t from = 0; from < 9; ++from) {
    for (size_t size = 0; from + size <= bytes.size(); ++size) {
      const auto part = std::string_view(bytes).substr(from, size);
      const auto start = static_cast<uint32_t>(prng.Next());
      ASSERT_EQ(Crc32c(part, start), Crc32cPortable(part, start)) << from << " " << size;
    }
  }
}

TEST(Crc32c, ContinuesOverParts) {
  Prng prng(2);
  const std::string bytes = RandomBytes(&prng, 100);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(Crc32c(bytes.substr(cut), Crc32c(bytes.substr(0, cut))), Crc32c(bytes));
  }
}

}  // namespace
}  // namespace sextant
