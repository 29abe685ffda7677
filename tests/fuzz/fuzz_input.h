// FuzzInput: fuzz bytes taken from the front as small choices and interesting numbers.
//
// What is short gives zeros, so that any bytes are an input. Numbers cost one byte where they are
// small: then a mutation of one byte changes one thing, and a corpus file can be written by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sextant::fuzz {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool AtEnd() const { return rest_.empty(); }
  std::string_view Rest() const { return rest_; }

  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  bool Flag() { return (Byte() & 1) != 0; }

  // One byte up to 0xef is itself; f0 to fe name an extreme; ff is followed by eight bytes.
  uint64_t Number() {
    static constexpr uint64_t kExtremes[] = {UINT64_MAX,
                                             UINT64_MAX - 1,
                                             UINT64_MAX >> 1,  // the largest LSN that is indexed
                                             (UINT64_MAX >> 1) - 1,
                                             (UINT64_MAX >> 1) + 1,
                                             UINT32_MAX,
                                             1ull << 32,
                                             (1ull << 32) + 1,
                                             (1ull << 32) * 10 + 10,
                                             1ull << 31,
                                             1ull << 16,
                                             10'000'000,
                                             1000,
                                             512,
                                             256};
    const uint8_t byte = Byte();
    if (byte < 0xf0) return byte;
    if (byte < 0xff) return kExtremes[byte - 0xf0];
    uint64_t value = 0;
    const size_t size = rest_.size() < sizeof value ? rest_.size() : sizeof value;
    std::memcpy(&value, rest_.data(), size);
    rest_.remove_prefix(size);
    return value;
  }

 private:
  std::string_view rest_;
};

}  // namespace sextant::fuzz
