// absl::Status and grpc::Status mean the same on both sides of a call.
#include "common/rpc/status.h"

#include <gmock/gmock.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

namespace sextant::rpc {
namespace {

TEST(RpcStatus, EveryCodeComesBackWithItsMessage) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "what happened");
    const absl::Status back = FromGrpc(ToGrpc(status), "node az1-a");
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), "node az1-a: what happened");
  }
}

TEST(RpcStatus, OkStaysOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK, "node").ok());
}

TEST(RpcStatus, ACodeThatAbseilDoesNotKnowIsUnknown) {
  const grpc::Status odd(static_cast<grpc::StatusCode>(77), "?");
  EXPECT_EQ(FromGrpc(odd, "node").code(), absl::StatusCode::kUnknown);
}

TEST(RpcStatus, ALongMessageIsCutBetweenCharacters) {
  std::string text(1999, 'x');
  text += "\xc3\xa9 and more";  // the e-acute lies across the limit
  const grpc::Status status = ToGrpc(absl::InternalError(text));
  EXPECT_EQ(status.error_message(), std::string(1999, 'x'));
}

}  // namespace
}  // namespace sextant::rpc
