// SqlSession over gRPC's synchronous stream.
#include "cli/client/sql_session.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::cli {

struct SqlSession::Stream {
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SqlRequest, v1::SqlResponse>> calls;
  bool is_finished = false;
  absl::Status end;
};

namespace {

// False at the deadline, and at once where the connection is refused: nobody listens there.
bool WaitUntilConnected(grpc::Channel* channel, absl::Time deadline) {
  grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
  while (state != GRPC_CHANNEL_READY) {
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) return false;
    if (!channel->WaitForStateChange(state, absl::ToChronoTime(deadline))) return false;
    state = channel->GetState(/*try_to_connect=*/true);
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqlSession>> SqlSession::Connect(
    const std::vector<std::string>& endpoints, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status refusal;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    auto stream = std::make_unique<Stream>();
    stream->channel = rpc::MakeChannel(endpoints[i]);
    // Each endpoint gets an equal part of the time that is left.
    const absl::Duration share =
        (deadline - absl::Now()) / static_cast<int64_t>(endpoints.size() - i);
    if (!WaitUntilConnected(stream->channel.get(), absl::Now() + share)) continue;
    v1::SqlService::Stub stub(stream->channel);
    stream->calls = stub.Session(&stream->context);
    stream->calls->WaitForInitialMetadata();
    const bool is_open = stream->context.GetServerInitialMetadata().count("sextant-session") > 0;
    std::unique_ptr<SqlSession> session(new SqlSession(endpoints[i], std::move(stream)));
    if (is_open) return session;
    refusal = session->Broken();
  }
  if (!refusal.ok()) return refusal;
  return absl::UnavailableError(
      Text("no compute node answers at ", absl::StrJoin(endpoints, ", ")));
}

SqlSession::SqlSession(std::string address, std::unique_ptr<Stream> stream)
    : address_(std::move(address)), stream_(std::move(stream)) {}

SqlSession::~SqlSession() {
  if (stream_->is_finished) return;
  stream_->calls->WritesDone();
  // A server that hangs must not hold up our end: it learns of it when the connection closes.
  stream_->context.TryCancel();
  stream_->calls->Finish();
}

absl::Status SqlSession::Broken() {
  if (!stream_->is_finished) {
    stream_->is_finished = true;
    stream_->end = rpc::FromGrpc(stream_->calls->Finish(), address_);
    if (stream_->end.ok()) {
      stream_->end = absl::UnavailableError(Text(address_, ": the server ended the session"));
    }
  }
  return stream_->end;
}

absl::Status SqlSession::Send(v1::SqlRequest* request) {
  request->set_id(next_id_++);
  if (stream_->is_finished || !stream_->calls->Write(*request)) return Broken();
  return absl::OkStatus();
}

absl::Status SqlSession::Receive(v1::SqlResponse* response) {
  if (stream_->is_finished || !stream_->calls->Read(response)) return Broken();
  return absl::OkStatus();
}

void SqlSession::Cancel() { stream_->context.TryCancel(); }

}  // namespace sextant::cli
