// Fuzzes the binlog codec: any bytes decode or are one of three errors, and what decodes encodes to
// the same bytes again.
#include "common/base/check.h"
#include "compute-node/binlog/log/transaction.h"
#include "tests/fuzz/fuzz_target.h"

namespace sextant::fuzz {
namespace {

void CheckError(const absl::Status& status) {
  SEXTANT_CHECK(absl::IsOutOfRange(status) || absl::IsDataLoss(status) ||
                absl::IsUnimplemented(status))
      << status;
}

void DecodeAll(std::string_view bytes) {
  while (!bytes.empty()) {
    std::string_view rest = bytes;
    const auto event = binlog::DecodeEvent(&rest);
    if (!event.ok()) {
      CheckError(event.status());
      SEXTANT_CHECK(rest == bytes);
      return;
    }
    std::string again;
    binlog::EncodeEvent(*event, &again);
    SEXTANT_CHECK(again == bytes.substr(0, bytes.size() - rest.size())) << event->index();
    bytes = rest;
  }
}

void DecodeAsTransaction(std::string_view bytes) {
  std::string_view rest = bytes;
  const auto transaction = binlog::DecodeTransaction(&rest);
  if (!transaction.ok()) return CheckError(transaction.status());
  SEXTANT_CHECK(transaction->bytes == bytes.substr(0, bytes.size() - rest.size()));
}

// Each input is the type and body of an event, so that mutations get past the checksum.
void DecodeAsBody(std::string_view bytes) {
  if (bytes.empty()) return;
  std::string framed;
  binlog::FrameEvent(static_cast<binlog::EventType>(bytes[0]), bytes.substr(1), &framed);
  DecodeAll(framed);
  // And as the only event of a transaction.
  std::string whole;
  std::string body = framed;
  binlog::EncodeEvent(binlog::CommitEvent{1}, &body);
  binlog::EncodeEvent(binlog::GtidEvent{.gtid = {binlog::SourceId(1), binlog::TxnSeq(1)},
                                        .body_bytes = body.size()},
                      &whole);
  whole += body;
  DecodeAsTransaction(whole);
}

}  // namespace
}  // namespace sextant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  DecodeAll(bytes);
  DecodeAsTransaction(bytes);
  DecodeAsBody(bytes);
  return 0;
}
