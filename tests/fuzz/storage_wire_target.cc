// Fuzzes what a network message becomes: any protobuf bytes are a value or an error, and a value
// that is sent on arrives equal. First byte: which message; the rest are its bytes.
#include <google/protobuf/stubs/logging.h>

#include "common/base/check.h"
#include "common/rpc/storage_wire.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/reseal.h"

namespace sextant::fuzz {
namespace {

constexpr SegmentId kSegment{VolumeId(0x0123456789abcdef), PgId(0)};

template <typename Message>
std::string Bytes(const Message& message) {
  std::string bytes;
  SEXTANT_CHECK(message.SerializeToString(&bytes));
  return bytes;
}

// Parse, convert, convert back, and once more: the second and the third message are equal.
template <typename Message>
void RoundTrip(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto value = rpc::FromProto(message);
  if (!value.ok()) return;
  Message sent;
  rpc::ToProto(*value, &sent);
  const auto arrived = rpc::FromProto(sent);
  SEXTANT_CHECK(arrived.ok()) << arrived.status();
  Message again;
  rpc::ToProto(*arrived, &again);
  SEXTANT_CHECK(Bytes(sent) == Bytes(again)) << sent.ShortDebugString();
}

void Ack(std::string_view bytes) {
  v1::AppendAck message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const protocol::AppendAck ack = rpc::FromProto(message);
  v1::AppendAck sent;
  rpc::ToProto(ack, &sent);
  const protocol::AppendAck arrived = rpc::FromProto(sent);
  SEXTANT_CHECK(arrived.segment == ack.segment && arrived.incarnation == ack.incarnation &&
                arrived.epoch == ack.epoch && arrived.scl == ack.scl &&
                arrived.status == ack.status)
      << ack.status;
}

void LogReply(std::string_view bytes) {
  v1::ReadLogResponse message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  for (const bool is_resealed : {false, true}) {
    if (is_resealed) message.set_batch(ResealBatch(message.batch()));
    const auto reply = rpc::FromProto(message, kSegment);
    if (!reply.ok()) continue;
    v1::ReadLogResponse sent;
    rpc::ToProto(*reply, kSegment, &sent);
    const auto arrived = rpc::FromProto(sent, kSegment);
    SEXTANT_CHECK(arrived.ok()) << arrived.status();
    SEXTANT_CHECK(arrived->scl == reply->scl && arrived->is_last == reply->is_last &&
                  arrived->records == reply->records);
  }
}

// The request that is answered is not the peer's to choose: as many pages as came, numbered.
void PagesReply(std::string_view bytes) {
  v1::ReadPagesResponse message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  protocol::ReadPagesRequest request{.segment = kSegment};
  for (int i = 0; i < message.pages_size(); ++i) request.pages.push_back(PageNo(i + 7));
  protocol::ReadPagesReply reply;
  for (const v1::ReadPagesResponse::Page& page : message.pages()) {
    reply.pages.push_back({Lsn(page.lsn()), page.image()});
  }
  (void)rpc::FromProto(message, request);
  v1::ReadPagesResponse sent;
  rpc::ToProto(reply, request, &sent);
  const auto arrived = rpc::FromProto(sent, request);
  SEXTANT_CHECK(arrived.ok()) << arrived.status();
  request.pages.push_back(PageNo(1));
  SEXTANT_CHECK(!rpc::FromProto(sent, request).ok()) << "a page was asked for that did not come";
}

}  // namespace
}  // namespace sextant::fuzz

// Protobuf logs every string that is no UTF-8.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  namespace v1 = sextant::v1;
  FuzzInput in(data, size);
  const uint8_t which = in.Byte();
  const std::string_view bytes = in.Rest();
  switch (which % 11) {
    case 0:
      Ack(bytes);
      break;
    case 1:
      RoundTrip<v1::Descriptor>(bytes);
      break;
    case 2:
      RoundTrip<v1::Membership>(bytes);
      break;
    case 3:
      RoundTrip<v1::SegmentStatus>(bytes);
      break;
    case 4:
      RoundTrip<v1::NodeStatus>(bytes);
      break;
    case 5:
      RoundTrip<v1::CreateSegmentRequest>(bytes);
      break;
    case 6:
      RoundTrip<v1::RaiseEpochRequest>(bytes);
      break;
    case 7:
      RoundTrip<v1::ReadLogRequest>(bytes);
      break;
    case 8:
      RoundTrip<v1::ReadPagesRequest>(bytes);
      break;
    case 9:
      LogReply(bytes);
      break;
    default:
      PagesReply(bytes);
  }
  return 0;
}
