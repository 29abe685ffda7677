// Diff of two pages, and the apply that checks a payload before it writes. See delta.h.
#include "common/page/delta.h"

#include <cstring>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/text.h"

namespace sextant::page {
namespace {

// Two ranges closer than this are one: a range header costs two to four bytes.
constexpr size_t kMergeGapBytes = 8;

absl::Status Malformed(std::string_view what) {
  return absl::DataLossError(Text("page delta: ", what));
}

// Index of the first byte at or after `from` where the two differ, or their size.
size_t NextDifference(std::string_view a, std::string_view b, size_t from) {
  const size_t size = a.size();
  for (; from + 8 <= size; from += 8) {
    uint64_t x, y;
    std::memcpy(&x, a.data() + from, 8);
    std::memcpy(&y, b.data() + from, 8);
    if (x != y) return from + static_cast<size_t>(__builtin_ctzll(x ^ y)) / 8;
  }
  while (from < size && a[from] == b[from]) ++from;
  return from;
}

// End of the differing range that starts at `start`: the first place followed by more than
// kMergeGapBytes equal bytes, or the last difference.
size_t RangeEnd(std::string_view a, std::string_view b, size_t start) {
  size_t end = start + 1;
  for (size_t i = end; i < a.size() && i - end <= kMergeGapBytes; ++i) {
    if (a[i] != b[i]) end = i + 1;
  }
  return end;
}

// Calls `visit(offset, bytes)` for each range; false when malformed or outside the page.
template <typename Visit>
bool ForEachRange(std::string_view payload, size_t page_size, Visit visit) {
  size_t position = 0;
  while (!payload.empty()) {
    uint64_t gap, length;
    std::string_view bytes;
    if (!GetVarint(&payload, &gap) || !GetVarint(&payload, &length)) return false;
    if (gap > page_size - position || length > page_size - position - gap) return false;
    if (length == 0 || !GetBytes(&payload, length, &bytes)) return false;
    visit(position + gap, bytes);
    position += gap + length;
  }
  return true;
}

}  // namespace

std::string EncodeRanges(const std::vector<ByteRange>& ranges) {
  std::string payload;
  size_t position = 0;
  for (const ByteRange& range : ranges) {
    SEXTANT_CHECK(range.offset >= position && !range.bytes.empty()) << "range at " << range.offset;
    PutVarint(&payload, range.offset - position);
    PutVarint(&payload, range.bytes.size());
    payload.append(range.bytes);
    position = range.offset + range.bytes.size();
  }
  return payload;
}

Diff DiffPages(std::string_view before, std::string_view after) {
  SEXTANT_CHECK(before.size() == after.size()) << before.size() << " and " << after.size();
  Diff diff;
  size_t position = 0;
  for (size_t start = NextDifference(before, after, 0); start < after.size();
       start = NextDifference(before, after, position)) {
    const size_t end = RangeEnd(before, after, start);
    PutVarint(&diff.payload, start - position);
    PutVarint(&diff.payload, end - start);
    diff.payload.append(after.substr(start, end - start));
    position = end;
    if (diff.payload.size() >= after.size()) {
      return {.is_full_image = true, .payload = std::string(after)};
    }
  }
  return diff;
}

absl::Status ApplyPayload(std::string_view payload, bool is_full_image, std::string* page) {
  if (is_full_image) {
    if (payload.size() != page->size()) return Malformed("full image of another size");
    page->assign(payload);
    return absl::OkStatus();
  }
  // First pass proves that the payload is whole, so that a bad one leaves the page untouched.
  if (!ForEachRange(payload, page->size(), [](size_t, std::string_view) {})) {
    return Malformed("a range lies outside the page or is cut short");
  }
  ForEachRange(payload, page->size(), [page](size_t offset, std::string_view bytes) {
    std::memcpy(page->data() + offset, bytes.data(), bytes.size());
  });
  return absl::OkStatus();
}

}  // namespace sextant::page
