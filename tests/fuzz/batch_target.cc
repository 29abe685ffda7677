// Fuzzes the batch codec: DecodeBatch, DecodeBatchHeader and WrapBatch agree on any bytes, and what
// decodes is built again to the same bytes.
#include "common/base/check.h"
#include "common/log/batch.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/reseal.h"

namespace sextant::fuzz {
namespace {

void CheckEntries(std::string_view bytes, const log::BatchView& batch) {
  size_t end = bytes.size() - batch.header.body_bytes;
  Lsn last;
  for (const log::BatchView::Entry& entry : batch.entries) {
    SEXTANT_CHECK(entry.offset == end) << "records lie one after the other";
    SEXTANT_CHECK(entry.record.header.lsn > last) << entry.record.header.lsn;
    std::string_view at = bytes.substr(entry.offset, entry.size);
    SEXTANT_CHECK(log::DecodeRecord(batch.header.volume, batch.header.pg, &at).ok() && at.empty());
    end += entry.size;
    last = entry.record.header.lsn;
  }
  SEXTANT_CHECK(end == bytes.size() && batch.entries.size() == batch.header.record_count) << end;
}

void Decode(std::string_view bytes) {
  const auto batch = log::DecodeBatch(bytes);
  const auto header = log::DecodeBatchHeader(bytes);
  const auto wrapped = log::WrapBatch(std::make_shared<const std::string>(bytes));
  SEXTANT_CHECK(batch.ok() == wrapped.ok()) << batch.status() << " and " << wrapped.status();
  if (!header.ok()) {
    SEXTANT_CHECK(!batch.ok() && header.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  if (!batch.ok()) {
    SEXTANT_CHECK(batch.status().code() == absl::StatusCode::kDataLoss) << batch.status();
    return;
  }
  SEXTANT_CHECK(batch->header == *header && wrapped->header == *header);
  CheckEntries(bytes, *batch);
  log::BatchBuilder builder(header->volume, header->pg);
  for (const log::BatchView::Entry& entry : batch->entries) {
    builder.Add(entry.record.header, entry.record.payload);
  }
  const log::EncodedBatch again = builder.Seal(*header);
  SEXTANT_CHECK(*again.bytes == bytes) << again.bytes->size() << " of " << bytes.size();
  SEXTANT_CHECK(again.first_lsn == wrapped->first_lsn && again.last_lsn == wrapped->last_lsn);
}

}  // namespace
}  // namespace sextant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Decode(bytes);
  Decode(ResealBatch(bytes));
  return 0;
}
