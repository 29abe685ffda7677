// Fuzzes the redo record codec: any bytes decode or are DATA_LOSS, and what decodes encodes to the
// same bytes again.
#include "common/base/check.h"
#include "common/log/record.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/reseal.h"

namespace sextant::fuzz {
namespace {

constexpr VolumeId kVolume{0x0123456789abcdef};  // of the example in docs/FORMATS.md
constexpr PgId kPg{0};

void Decode(std::string_view bytes) {
  std::string_view rest = bytes;
  const auto record = log::DecodeRecord(kVolume, kPg, &rest);
  if (!record.ok()) {
    SEXTANT_CHECK(record.status().code() == absl::StatusCode::kDataLoss) << record.status();
    return;
  }
  std::string again;
  log::EncodeRecord(kVolume, kPg, record->header, record->payload, &again);
  SEXTANT_CHECK(again == bytes.substr(0, bytes.size() - rest.size())) << record->header.lsn;
  SEXTANT_CHECK(again.size() >= log::kMinRecordBytes) << again.size();
  SEXTANT_CHECK(again.size() <= record->payload.size() + log::kMaxRecordOverheadBytes);
  // The same bytes elsewhere are damage.
  rest = again;
  SEXTANT_CHECK(!log::DecodeRecord(kVolume, kPg.Next(), &rest).ok());
}

}  // namespace
}  // namespace sextant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Decode(bytes);
  Decode(ResealRecord(kVolume, kPg, bytes));
  return 0;
}
