// See volume_client.h.
#include "cli/client/volume_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "absl/time/clock.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::cli {

absl::StatusOr<v1::GetVolumeResponse> GetVolume(const std::string& address) {
  v1::VolumeService::Stub stub(rpc::MakeChannel(address));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
  v1::GetVolumeResponse response;
  const absl::Status status = rpc::FromGrpc(stub.GetVolume(&context, {}, &response), address);
  if (absl::IsDeadlineExceeded(status)) return absl::UnavailableError(status.message());
  if (!status.ok()) return status;
  return response;
}

absl::Status ProveWriter(const std::string& address) {
  v1::VolumeService::Stub stub(rpc::MakeChannel(address));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
  v1::ReadPageRequest newest;
  v1::ReadPageResponse response;
  return rpc::FromGrpc(stub.ReadPage(&context, newest, &response), address);
}

absl::Status TailVolume(const std::string& address, uint64_t after_lsn,
                        const std::function<bool(const v1::TailResponse&)>& on_records) {
  v1::VolumeService::Stub stub(rpc::MakeChannel(address));
  grpc::ClientContext context;
  v1::TailRequest request;
  request.set_after_lsn(after_lsn);
  const auto stream = stub.Tail(&context, request);
  v1::TailResponse response;
  while (stream->Read(&response)) {
    if (on_records(response)) continue;
    context.TryCancel();
    stream->Finish();
    return absl::OkStatus();
  }
  return rpc::FromGrpc(stream->Finish(), address);
}

}  // namespace sextant::cli
