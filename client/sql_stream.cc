// See sql_stream.h. Over gRPC's synchronous stream.
#include "client/sql_stream.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::client {

// Sessions of one process to one node share a connection: with one for each of 64 sessions the node
// spent twice the CPU on a commit. While the node is away it is tried often, so that it is found as
// soon as by a connection of one's own.
const rpc::ChannelOptions kShared{.reconnect_max_ms = 100, .own_connection = false};
// An attempt that takes longer is not waited for by all of them: TCP tries again only after a
// second where its first packet met a node that was just going away.
constexpr absl::Duration kSharedPatience = absl::Milliseconds(200);

struct SqlStream::Call {
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SqlRequest, v1::SqlResponse>> messages;
  bool is_finished = false;
  absl::Status end;
};

namespace {

// DEADLINE_EXCEEDED; UNAVAILABLE at once where the connection is refused: nobody listens there.
absl::Status WaitUntilConnected(grpc::Channel* channel, absl::Time deadline) {
  grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
  while (state != GRPC_CHANNEL_READY) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
      return absl::UnavailableError("refused");
    }
    if (!channel->WaitForStateChange(state, absl::ToChronoTime(deadline))) {
      return absl::DeadlineExceededError("no answer");
    }
    state = channel->GetState(/*try_to_connect=*/true);
  }
  return absl::OkStatus();
}

// UNAVAILABLE: nobody answers by the deadline.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address,
                                                       absl::Time deadline) {
  auto channel = rpc::MakeChannel(address, kShared);
  absl::Status connected =
      WaitUntilConnected(channel.get(), std::min(deadline, absl::Now() + kSharedPatience));
  if (absl::IsDeadlineExceeded(connected)) {
    channel = rpc::MakeChannel(address);
    connected = WaitUntilConnected(channel.get(), deadline);
  }
  if (connected.ok()) return channel;
  return absl::UnavailableError(Text("no compute node answers at ", address));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqlStream>> SqlStream::Open(const std::string& address,
                                                           absl::Time deadline) {
  auto call = std::make_unique<Call>();
  ASSIGN_OR_RETURN(call->channel, Connect(address, deadline));
  v1::SqlService::Stub stub(call->channel);
  call->messages = stub.Session(&call->context);
  call->messages->WaitForInitialMetadata();
  const bool is_open = call->context.GetServerInitialMetadata().count("sextant-session") > 0;
  std::unique_ptr<SqlStream> stream(new SqlStream(address, std::move(call)));
  if (is_open) return stream;
  return stream->end();
}

SqlStream::SqlStream(std::string address, std::unique_ptr<Call> call)
    : address_(std::move(address)), call_(std::move(call)) {}

SqlStream::~SqlStream() {
  if (call_->is_finished) return;
  call_->messages->WritesDone();
  // A server that hangs must not hold up our end: it learns of it when the connection closes.
  call_->context.TryCancel();
  call_->messages->Finish();
}

bool SqlStream::Send(const v1::SqlRequest& request) {
  return !call_->is_finished && call_->messages->Write(request);
}

bool SqlStream::Receive(v1::SqlResponse* response) {
  return !call_->is_finished && call_->messages->Read(response);
}

const absl::Status& SqlStream::end() {
  if (!call_->is_finished) {
    // What was answered and not read would keep Finish from returning.
    v1::SqlResponse unread;
    while (call_->messages->Read(&unread)) {
    }
    call_->is_finished = true;
    call_->end = rpc::FromGrpc(call_->messages->Finish(), address_);
    if (call_->end.ok()) {
      call_->end = absl::UnavailableError(Text(address_, ": the server ended the session"));
    }
  }
  return call_->end;
}

bool SqlStream::is_unanswered_unbegun() {
  end().IgnoreError();
  return call_->context.GetServerTrailingMetadata().count("sextant-unanswered") > 0;
}

void SqlStream::Cancel() { call_->context.TryCancel(); }

}  // namespace sextant::client
