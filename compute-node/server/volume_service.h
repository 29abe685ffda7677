// VolumeService over gRPC: the log service itself, for engines other than SQLite.
//
// Thin: appends go through writer/mtr_appender.h, reads and tails through writer/writer_volume.h.
// On a reader (reader/reader_volume.h) pages are read as of what it shows; appends and tails are
// refused with FAILED_PRECONDITION, which names the writer. All of it on the callback API; a tail
// alone has a thread, because it reads log from segments piece by piece.
#pragma once

#include "absl/time/time.h"
#include "compute-node/server/volume_backend.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::server {

class VolumeService final : public v1::VolumeService::CallbackService {
 public:
  VolumeService();

  // `backend` lives until AwaitUnused has returned. Until Attach, and after Detach, every call is
  // refused.
  void Attach(VolumeBackend* backend) { backend_.Attach(backend); }
  // While nothing is attached, calls are refused with `why`.
  void Refuse(const absl::Status& why) { backend_.Detach(why); }
  // Refuses new calls with `why`; ends tails and pipelines with it, the latter when what they took
  // is answered. Other calls end when the volume answers them.
  void Detach(VolumeBackend* backend, const absl::Status& why);
  // Waits until all have ended; streams whose clients take no answers are cut after `patience`.
  void AwaitUnused(VolumeBackend* backend, absl::Duration patience);

  grpc::ServerUnaryReactor* GetVolume(grpc::CallbackServerContext* context,
                                      const v1::GetVolumeRequest* request,
                                      v1::GetVolumeResponse* response) override;
  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const v1::AppendMtrRequest* request,
                                   v1::AppendMtrResponse* response) override;
  grpc::ServerBidiReactor<v1::AppendMtrBatch, v1::AppendMtrAnswers>* AppendStream(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ReadPage(grpc::CallbackServerContext* context,
                                     const v1::ReadPageRequest* request,
                                     v1::ReadPageResponse* response) override;
  grpc::ServerWriteReactor<v1::TailResponse>* Tail(grpc::CallbackServerContext* context,
                                                   const v1::TailRequest* request) override;

 private:
  // For what a reader does not do: it names the writer.
  absl::StatusOr<VolumeUse> TakeOfWriter();

  Attachment<VolumeBackend> backend_;
};

}  // namespace sextant::server
