// See mtr_codec.h. Layout: body bytes varint | crc32c u32 of the body | body: first_lsn, distance
// to prev_lsn, number of changes x 2 + is_notice; per change: page, distance to base_lsn, payload
// bytes x 2 + is_full_image, payload. All varints.
#include "common/protocol/mtr_codec.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/text.h"

namespace sextant::protocol {
namespace {

// Page, distance and size: one byte each.
constexpr size_t kMinChangeBytes = 3;

absl::Status Malformed(std::string_view what) {
  return absl::DataLossError(Text("a mini-transaction of the redo stream is ", what));
}

bool TakeChange(std::string_view* in, Lsn lsn, bool is_notice, page::PageChange* change) {
  uint64_t page = 0, distance = 0, size = 0;
  if (!GetVarint(in, &page) || !GetVarint(in, &distance) || !GetVarint(in, &size)) return false;
  if (distance == 0 || distance > lsn.value()) return false;
  change->page = PageNo(page);
  change->base_lsn = Lsn(lsn.value() - distance);
  change->is_full_image = size & 1;
  std::string_view payload;
  if (is_notice ? size >> 1 != 0 : !GetBytes(in, size >> 1, &payload)) return false;
  change->payload = payload;
  return true;
}

}  // namespace

bool RedoMtr::operator==(const RedoMtr& other) const {
  const auto is_equal = [](const page::PageChange& a, const page::PageChange& b) {
    return a.page == b.page && a.base_lsn == b.base_lsn && a.is_full_image == b.is_full_image &&
           a.payload == b.payload;
  };
  return prev_lsn == other.prev_lsn && first_lsn == other.first_lsn &&
         commit_lsn == other.commit_lsn && is_notice == other.is_notice &&
         std::ranges::equal(changes, other.changes, is_equal);
}

void EncodeMtr(const RedoMtr& mtr, bool as_notice, std::string* out) {
  SEXTANT_CHECK(!mtr.changes.empty() && mtr.first_lsn > mtr.prev_lsn &&
                mtr.commit_lsn == mtr.first_lsn + (mtr.changes.size() - 1));
  const bool is_notice = as_notice || mtr.is_notice;
  std::string body;
  PutVarint(&body, mtr.first_lsn.value());
  PutVarint(&body, mtr.first_lsn - mtr.prev_lsn);
  PutVarint(&body, uint64_t{mtr.changes.size()} << 1 | (is_notice ? 1 : 0));
  for (size_t i = 0; i < mtr.changes.size(); ++i) {
    const page::PageChange& change = mtr.changes[i];
    const uint64_t bytes = is_notice ? 0 : change.payload.size();
    PutVarint(&body, change.page.value());
    PutVarint(&body, mtr.first_lsn + i - change.base_lsn);
    PutVarint(&body, bytes << 1 | (change.is_full_image ? 1 : 0));
    if (!is_notice) body += change.payload;
  }
  PutVarint(out, body.size());
  PutFixed32(out, Crc32c(body));
  *out += body;
}

absl::StatusOr<RedoMtr> DecodeMtr(std::string_view* in) {
  uint64_t size = 0, first = 0, distance = 0, count = 0;
  uint32_t crc = 0;
  std::string_view body;
  if (!GetVarint(in, &size) || !GetFixed32(in, &crc) || !GetBytes(in, size, &body)) {
    return Malformed("cut short");
  }
  if (Crc32c(body) != crc) return Malformed("damaged: its checksum does not match");
  if (!GetVarint(&body, &first) || !GetVarint(&body, &distance) || !GetVarint(&body, &count)) {
    return Malformed("malformed");
  }
  RedoMtr mtr;
  mtr.is_notice = count & 1;
  count >>= 1;
  if (count == 0 || count > body.size() / kMinChangeBytes || distance == 0 || distance > first ||
      first + (count - 1) < first) {
    return Malformed("malformed");
  }
  mtr.first_lsn = Lsn(first);
  mtr.prev_lsn = Lsn(first - distance);
  mtr.commit_lsn = mtr.first_lsn + (count - 1);
  mtr.changes.resize(count);
  for (uint64_t i = 0; i < count; ++i) {
    if (!TakeChange(&body, mtr.first_lsn + i, mtr.is_notice, &mtr.changes[i])) {
      return Malformed("malformed");
    }
  }
  if (!body.empty()) return Malformed("malformed");
  return mtr;
}

}  // namespace sextant::protocol
