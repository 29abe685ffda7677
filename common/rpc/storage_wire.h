// common/protocol/storage_messages.h <-> sextant.v1 StorageService messages, at the edge of both
// sides.
//
// ToProto writes into a fresh message. FromProto is where bytes from the network become trusted
// values: it answers INVALID_ARGUMENT for what no honest peer sends (a slot out of range, members
// that are not six to eight) and DATA_LOSS where a checksum does not match. Nothing here aborts on
// bad input.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/protocol/storage_messages.h"
#include "sextant/v1/storage.pb.h"

namespace sextant::rpc {

// Most pages of one ReadPagesRequest: as many of the largest pages as fit a gRPC message.
inline constexpr int kMaxPagesPerRead = 128;

void ToProto(const SegmentId& segment, v1::SegmentKey* out);
SegmentId FromProto(const v1::SegmentKey& in);

void ToProto(const protocol::AppendAck& ack, v1::AppendAck* out);
protocol::AppendAck FromProto(const v1::AppendAck& in);

void ToProto(const protocol::EpochProbe& probe, v1::EpochProbe* out);
protocol::EpochProbe FromProto(const v1::EpochProbe& in);
void ToProto(const protocol::EpochAnswer& answer, v1::EpochAnswer* out);
protocol::EpochAnswer FromProto(const v1::EpochAnswer& in);

void ToProto(const volume::Descriptor& descriptor, v1::Descriptor* out);
absl::StatusOr<volume::Descriptor> FromProto(const v1::Descriptor& in);

void ToProto(const volume::Membership& membership, v1::Membership* out);
absl::StatusOr<volume::Membership> FromProto(const v1::Membership& in);

void ToProto(const protocol::SegmentStatus& status, v1::SegmentStatus* out);
absl::StatusOr<protocol::SegmentStatus> FromProto(const v1::SegmentStatus& in);

void ToProto(const protocol::NodeStatus& status, v1::NodeStatus* out);
absl::StatusOr<protocol::NodeStatus> FromProto(const v1::NodeStatus& in);

void ToProto(const protocol::CreateSegmentRequest& request, v1::CreateSegmentRequest* out);
absl::StatusOr<protocol::CreateSegmentRequest> FromProto(const v1::CreateSegmentRequest& in);

void ToProto(const protocol::RaiseEpochRequest& request, v1::RaiseEpochRequest* out);
absl::StatusOr<protocol::RaiseEpochRequest> FromProto(const v1::RaiseEpochRequest& in);

// FromProto lowers max_bytes to what fits one reply.
void ToProto(const protocol::ReadLogRequest& request, v1::ReadLogRequest* out);
absl::StatusOr<protocol::ReadLogRequest> FromProto(const v1::ReadLogRequest& in);

// The records travel as one batch of `segment`. Records beyond what fits one batch are left out and
// is_last turns false: the asker goes on after the last one it got. DATA_LOSS: the batch is damaged
// or of another segment.
void ToProto(const protocol::ReadLogReply& reply, const SegmentId& segment,
             v1::ReadLogResponse* out);
absl::StatusOr<protocol::ReadLogReply> FromProto(const v1::ReadLogResponse& in,
                                                 const SegmentId& segment);

// INVALID_ARGUMENT: more than kMaxPagesPerRead pages.
void ToProto(const protocol::ReadPagesRequest& request, v1::ReadPagesRequest* out);
absl::StatusOr<protocol::ReadPagesRequest> FromProto(const v1::ReadPagesRequest& in);

// A page travels with a CRC32C over its number, LSN and image; the number itself is not sent, so
// that an image of another page fails the check. `request` is the one that `reply` answers.
// DATA_LOSS: a CRC does not match, or the count of pages differs.
void ToProto(const protocol::ReadPagesReply& reply, const protocol::ReadPagesRequest& request,
             v1::ReadPagesResponse* out);
absl::StatusOr<protocol::ReadPagesReply> FromProto(const v1::ReadPagesResponse& in,
                                                   const protocol::ReadPagesRequest& request);

// Pages travel with their numbers and the same CRC. DATA_LOSS: a CRC does not match.
// INVALID_ARGUMENT: a page newer than the reply's read point.
void ToProto(const protocol::CopyPagesRequest& request, v1::CopyPagesRequest* out);
absl::StatusOr<protocol::CopyPagesRequest> FromProto(const v1::CopyPagesRequest& in);
void ToProto(const protocol::CopyPagesReply& reply, v1::CopyPagesResponse* out);
absl::StatusOr<protocol::CopyPagesReply> FromProto(const v1::CopyPagesResponse& in);

void ToProto(const protocol::DropSegmentRequest& request, v1::DropSegmentRequest* out);
absl::StatusOr<protocol::DropSegmentRequest> FromProto(const v1::DropSegmentRequest& in);

// What FromProto answers for what no honest peer sends.
absl::Status Malformed(std::string_view what);

}  // namespace sextant::rpc
