// Fixed integers and varints: round trips at the limits, and short or overlong input.
#include "common/base/coding.h"

#include <gtest/gtest.h>

#include <vector>

namespace sextant {
namespace {

// Every power of two and its neighbours.
std::vector<uint64_t> Limits() {
  std::vector<uint64_t> values = {0, UINT64_MAX};
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t power = 1ull << bit;
    values.insert(values.end(), {power - 1, power, power + 1});
  }
  return values;
}

TEST(Coding, FixedIntegersAreLittleEndian) {
  std::string out;
  PutFixed32(&out, 0x04030201);
  PutFixed64(&out, 0x0c0b0a0908070605);
  EXPECT_EQ(out, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c");
}

TEST(Coding, RoundTripsAtTheLimits) {
  for (uint64_t value : Limits()) {
    std::string out;
    PutVarint(&out, value);
    PutFixed64(&out, value);
    PutFixed32(&out, static_cast<uint32_t>(value));
    std::string_view in = out;
    uint64_t varint = 0, fixed64 = 0;
    uint32_t fixed32 = 0;
    ASSERT_TRUE(GetVarint(&in, &varint) && GetFixed64(&in, &fixed64) && GetFixed32(&in, &fixed32));
    EXPECT_EQ(varint, value);
    EXPECT_EQ(fixed64, value);
    EXPECT_EQ(fixed32, static_cast<uint32_t>(value));
    EXPECT_TRUE(in.empty());
  }
}

TEST(Coding, VarintsTakeOneByteForSevenBits) {
  for (const auto& [value, size] : std::vector<std::pair<uint64_t, size_t>>{{0, 1},
                                                                            {127, 1},
                                                                            {128, 2},
                                                                            {16383, 2},
                                                                            {16384, 3},
                                                                            {1ull << 63, 10},
                                                                            {UINT64_MAX, 10}}) {
    std::string out;
    PutVarint(&out, value);
    EXPECT_EQ(out.size(), size) << value;
  }
}

TEST(Coding, AVarintHasOneEncoding) {
  for (const std::string& bytes : {std::string("\x80\x00", 2), std::string("\xff\x80\x00", 3)}) {
    std::string_view in = bytes;
    uint64_t read = 0;
    EXPECT_FALSE(GetVarint(&in, &read)) << "of " << bytes.size() << " bytes, one too many";
  }
}

TEST(Coding, ShortInputIsRefusedAtEveryLength) {
  for (uint64_t value : Limits()) {
    std::string out;
    PutVarint(&out, value);
    for (size_t size = 0; size < out.size(); ++size) {
      std::string_view in(out.data(), size);
      uint64_t read = 0;
      EXPECT_FALSE(GetVarint(&in, &read)) << value << " cut to " << size;
    }
  }
  for (size_t size = 0; size < 8; ++size) {
    const std::string bytes(size, 'x');
    std::string_view in = bytes;
    uint64_t fixed64 = 0;
    EXPECT_FALSE(GetFixed64(&in, &fixed64));
    in = std::string_view(bytes).substr(0, size / 2);
    uint32_t fixed32 = 0;
    EXPECT_FALSE(GetFixed32(&in, &fixed32));
    std::string_view taken;
    EXPECT_FALSE(GetBytes(&in, in.size() + 1, &taken));
  }
}

TEST(Coding, AVarintBeyond64BitsIsRefused) {
  const std::string nine(9, '\xff');
  for (const std::string& overlong :
       {nine + "\x02", nine + "\x7f", nine + "\xff", nine + "\xff\x01", std::string(20, '\x80')}) {
    std::string_view in = overlong;
    uint64_t value = 0;
    EXPECT_FALSE(GetVarint(&in, &value));
  }
}

}  // namespace
}  // namespace sextant
