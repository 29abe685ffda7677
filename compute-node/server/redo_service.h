// RedoService over gRPC: the writer's redo, streamed to readers. Thin: what to send is decided by
// writer/writer_volume.h.
#pragma once

#include "absl/time/time.h"
#include "compute-node/server/attachment.h"
#include "compute-node/server/open_calls.h"
#include "compute-node/writer/writer_volume.h"
#include "sextant/v1/redo.grpc.pb.h"

namespace sextant::server {

// What RedoService works on while this node is the writer.
struct RedoBackend {
  explicit RedoBackend(compute::WriterVolume* volume) : volume(*volume) {}

  compute::WriterVolume& volume;  // outlives the backend
  OpenCalls calls;
};

using RedoUse = Attachment<RedoBackend>::Use;

class RedoService final : public v1::RedoService::CallbackService {
 public:
  RedoService();

  // As VolumeService's.
  void Attach(RedoBackend* backend) { backend_.Attach(backend); }
  void Refuse(const absl::Status& why) { backend_.Detach(why); }
  void Detach(RedoBackend* backend, const absl::Status& why);
  void AwaitUnused(RedoBackend* backend, absl::Duration patience);

  grpc::ServerBidiReactor<v1::FollowRequest, v1::FollowResponse>* Follow(
      grpc::CallbackServerContext* context) override;

 private:
  Attachment<RedoBackend> backend_;
};

}  // namespace sextant::server
