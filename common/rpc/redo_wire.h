// common/protocol/redo_messages.h <-> sextant.v1 RedoService messages, at the edge of both sides.
//
// FromProto answers INVALID_ARGUMENT for what no honest peer sends; whether the parts fit together
// is for the machines to judge (compute-node/replica). Nothing here aborts on bad input.
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/redo_messages.h"
#include "sextant/v1/redo.pb.h"

namespace sextant::rpc {

void ToProto(const protocol::FollowHello& hello, v1::FollowHello* out);
// INVALID_ARGUMENT: without a name.
absl::StatusOr<protocol::FollowHello> FromProto(const v1::FollowHello& in);

void ToProto(const protocol::FollowProgress& progress, v1::FollowProgress* out);
protocol::FollowProgress FromProto(const v1::FollowProgress& in);

// Both take the mini-transactions' bytes out of their argument.
void ToProto(protocol::FollowMessage message, v1::FollowResponse* out);
absl::StatusOr<protocol::FollowMessage> FromProto(v1::FollowResponse in);

}  // namespace sextant::rpc
