// Parsing and printing of sizes with binary units. See byte_size.h.
#include "common/base/byte_size.h"

#include "common/base/text.h"

namespace sextant {
namespace {

constexpr std::string_view kUnits = "KMGT";  // 2^10, 2^20, 2^30, 2^40

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// Bits to shift by for a unit, or -1 when it is none.
int ShiftOf(std::string_view unit) {
  if (unit.empty() || (unit.size() == 1 && Upper(unit[0]) == 'B')) return 0;
  const size_t index = kUnits.find(Upper(unit[0]));
  if (index == std::string_view::npos) return -1;
  const bool is_binary = unit.size() == 3 && Upper(unit[1]) == 'I' && Upper(unit[2]) == 'B';
  if (unit.size() != 1 && !is_binary) return -1;
  return static_cast<int>(index + 1) * 10;
}

}  // namespace

absl::StatusOr<uint64_t> ParseByteSize(std::string_view text) {
  const auto error = [text](std::string_view why) {
    return absl::InvalidArgumentError(
        Text("\"", text, "\" ", why, "; write bytes or a binary unit: 4096, 64KiB, 10GiB"));
  };
  uint64_t number = 0;
  size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    const auto digit = static_cast<uint64_t>(text[digits] - '0');
    if (number > (UINT64_MAX - digit) / 10) return error("is too large");
    number = number * 10 + digit;
  }
  if (digits == 0) return error("is not a size");
  const int shift = ShiftOf(text.substr(digits));
  if (shift < 0) return error("has an unknown unit");
  if (number > UINT64_MAX >> shift) return error("is too large");
  return number << shift;
}

std::string FormatByteSize(uint64_t bytes) {
  size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  if (unit == 0) return Text(bytes);
  return Text(bytes, std::string_view(kUnits).substr(unit - 1, 1), "iB");
}

}  // namespace sextant
