// Fuzzes what a storage node reads back from its directory: segment state, high-water mark, page
// versions, keys and cuts of batches. First byte: which; the rest is the value, tried as it is and
// under a right checksum.
#include "common/base/check.h"
#include "storage-node/store/store_codec.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/reseal.h"

namespace sextant::fuzz {
namespace {

constexpr SegmentId kSegment{VolumeId(0x0123456789abcdef), PgId(1)};
constexpr PageNo kPage{7};
constexpr Lsn kLsn{300};

void State(std::string_view value) {
  const std::string key = storage::SegmentKey(kSegment);
  const auto state = storage::DecodeState(key, value);
  if (state.ok()) {
    SEXTANT_CHECK(state->segment == kSegment && state->descriptor.volume == kSegment.volume);
    SEXTANT_CHECK(storage::EncodeState(*state) == value) << "a state has one encoding";
  }
  SEXTANT_CHECK(!storage::DecodeState(storage::SegmentKey({kSegment.volume, PgId(2)}), value).ok())
      << "right bytes under the wrong key";
}

void HighWater(std::string_view value) {
  const auto mark = storage::DecodeHighWater(kSegment, value);
  if (!mark.ok()) return;
  SEXTANT_CHECK(mark->segment == kSegment && storage::EncodeHighWater(*mark) == value);
}

void Page(std::string_view value) {
  const auto image = storage::DecodePage(kSegment, kPage, kLsn, value);
  if (!image.ok()) return;
  SEXTANT_CHECK(image->lsn == kLsn);
  SEXTANT_CHECK(storage::EncodePageCrc(kSegment, kPage, *image) + image->bytes == value);
  SEXTANT_CHECK(!storage::DecodePage(kSegment, kPage.Next(), kLsn, value).ok());
}

void Keys(std::string_view key) {
  storage::LogPosition position;
  if (storage::ParseLogKey(key, kSegment, &position)) {
    SEXTANT_CHECK(storage::LogKey(kSegment, position) == key) << position;
  }
  Lsn lsn;
  if (storage::ParsePageKey(key, kSegment, kPage, &lsn)) {
    SEXTANT_CHECK(storage::PageKey(kSegment, kPage, lsn) == key) << lsn;
  }
  (void)storage::DecodeState(key, key);
}

// Numbers that come from a client must make keys whose order is theirs.
void KeyOrder(FuzzInput in) {
  const storage::LogPosition a(in.Number()), b(in.Number());
  SEXTANT_CHECK((a < b) == (storage::LogKey(kSegment, a) < storage::LogKey(kSegment, b)));
  const Lsn older(in.Number()), newer(in.Number());
  const PageNo page(in.Number());
  SEXTANT_CHECK((older < newer) == (storage::PageKey(kSegment, page, newer) <
                                    storage::PageKey(kSegment, page, older)));
}

void Cut(FuzzInput in) {
  const auto offset = static_cast<uint32_t>(in.Number()), size = static_cast<uint32_t>(in.Number());
  const std::string_view batch = in.Rest();
  const auto record = storage::CutRecord(batch, offset, size);
  const bool fits = uint64_t{offset} + size <= batch.size();
  SEXTANT_CHECK(record.ok() == fits) << offset << " " << size;
  if (fits) SEXTANT_CHECK(*record == batch.substr(offset, size));
}

}  // namespace
}  // namespace sextant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  FuzzInput in(data, size);
  const uint8_t which = in.Byte();
  const std::string_view value = in.Rest();
  const std::string key = sextant::storage::SegmentKey(kSegment);
  const std::string_view body = value.substr(value.size() < 4 ? value.size() : 4);
  switch (which % 6) {
    case 0:
      State(value);
      State(Seal(key, body));
      break;
    case 1:
      HighWater(value);
      HighWater(Seal(key, body));
      break;
    case 2:
      Page(value);
      Page(Seal(sextant::storage::PageKey(kSegment, kPage, kLsn), body));
      break;
    case 3:
      Keys(value);
      break;
    case 4:
      KeyOrder(in);
      break;
    default:
      Cut(in);
  }
  return 0;
}
