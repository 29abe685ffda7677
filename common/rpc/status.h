// The only place where absl::Status meets grpc::Status. The meanings are in common/base/status.h.
#pragma once

#include "absl/status/status.h"
#include "common/base/text.h"

namespace grpc {
class Status;
}

namespace sextant::rpc {

grpc::Status ToGrpc(const absl::Status& status);
// `peer` names who said it, for the message: "storage node az1-a (127.0.0.1:7001)".
absl::Status FromGrpc(const grpc::Status& status, std::string_view peer);

}  // namespace sextant::rpc
