// Code by code and message by message between Abseil and gRPC. See status.h.
#include "common/rpc/status.h"

#include <grpcpp/support/status.h>

#include <algorithm>

namespace sextant::rpc {
namespace {

// gRPC carries the message in a header, percent-encoded (up to three bytes for one), and refuses
// headers beyond 8 KiB: a longer message would turn any error into RESOURCE_EXHAUSTED.
constexpr size_t kMaxMessageBytes = 2000;

std::string_view CutAtCharacter(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  auto continues = [&](size_t i) { return (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80; };
  while (limit > 0 && continues(limit)) --limit;
  return text.substr(0, limit);
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The two enumerations have the same numbers
  // (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(CutAtCharacter(View(status.message()), kMaxMessageBytes)));
}

absl::Status FromGrpc(const grpc::Status& status, std::string_view peer) {
  if (status.ok()) return absl::OkStatus();
  const int code = static_cast<int>(status.error_code());
  const bool is_known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return absl::Status(is_known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      Text(peer, ": ", status.error_message()));
}

}  // namespace sextant::rpc
