// Fuzzes the page delta: any payload is applied as docs/FORMATS.md says or leaves the page
// untouched, and the diff of two pages leads from one to the other. First byte: bit 0 a full image,
// bit 1 a page of 16 bytes instead of 512; the rest is the payload.
#include <optional>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/page/delta.h"
#include "tests/fuzz/fuzz_target.h"

namespace sextant::fuzz {
namespace {

// The page after `payload`, byte by byte; nullopt where the payload is malformed.
std::optional<std::string> Model(std::string_view payload, bool is_full_image, std::string page) {
  if (is_full_image) {
    if (payload.size() != page.size()) return std::nullopt;
    return std::string(payload);
  }
  unsigned __int128 position = 0;
  while (!payload.empty()) {
    uint64_t gap, length;
    if (!GetVarint(&payload, &gap) || !GetVarint(&payload, &length) || length == 0) {
      return std::nullopt;
    }
    position += gap;
    for (uint64_t i = 0; i < length; ++i, ++position) {
      if (payload.empty() || position >= page.size()) return std::nullopt;
      page[static_cast<size_t>(position)] = payload.front();
      payload.remove_prefix(1);
    }
  }
  return page;
}

void Apply(std::string_view payload, bool is_full_image, const std::string& before) {
  std::string after = before;
  const absl::Status status = page::ApplyPayload(payload, is_full_image, &after);
  const std::optional<std::string> expected = Model(payload, is_full_image, before);
  SEXTANT_CHECK(status.ok() == expected.has_value()) << status;
  SEXTANT_CHECK(after == (status.ok() ? *expected : before)) << "of " << payload.size() << " bytes";
  if (!status.ok()) return;
  const page::Diff diff = page::DiffPages(before, after);
  SEXTANT_CHECK(diff.payload.size() <= before.size()) << diff.payload.size();
  std::string again = before;
  SEXTANT_CHECK(page::ApplyPayload(diff.payload, diff.is_full_image, &again).ok());
  SEXTANT_CHECK(again == after) << "the diff leads elsewhere";
  SEXTANT_CHECK(diff.payload.empty() == (before == after));
}

}  // namespace
}  // namespace sextant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  if (size == 0) return 0;
  const std::string_view payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string page;
  for (int i = 0; i < ((data[0] & 2) != 0 ? 16 : 512); ++i) page.push_back(static_cast<char>(i));
  Apply(payload, (data[0] & 1) != 0, page);
  return 0;
}
