// VolumeService over gRPC: the log service itself, for engines other than SQLite.
//
// Thin: appends go through writer/mtr_appender.h, reads and tails through writer/writer_volume.h.
// All of it on the callback API; a tail alone has a thread, because it reads log from segments
// piece by piece.
#pragma once

#include <atomic>
#include <memory>

#include "absl/time/time.h"
#include "compute-node/server/append_mtr_stream.h"
#include "compute-node/writer/mtr_appender.h"
#include "compute-node/writer/write_ticket.h"
#include "compute-node/writer/writer_volume.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::server {

struct VolumeServiceOptions {
  absl::Duration commit_timeout = absl::Seconds(10);  // where a request names none
  int max_appends_per_stream = 4096;  // not yet answered; then the stream is read no further
  int max_tails = 64;
};

class VolumeService final : public v1::VolumeService::CallbackService {
 public:
  // Both outlive the service and the server that it is registered with.
  VolumeService(compute::WriterVolume* volume, compute::WriteTicketQueue* tickets,
                VolumeServiceOptions options);
  ~VolumeService() override;  // the server has stopped

  // Ends tails and pipelines, the latter when what they took is answered. Other calls end when the
  // volume answers them.
  void EndStreams() {
    is_stopping_ = true;
    streams_.StopAll();
  }

  grpc::ServerUnaryReactor* GetVolume(grpc::CallbackServerContext* context,
                                      const v1::GetVolumeRequest* request,
                                      v1::GetVolumeResponse* response) override;
  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const v1::AppendMtrRequest* request,
                                   v1::AppendMtrResponse* response) override;
  grpc::ServerBidiReactor<v1::AppendMtrRequest, v1::AppendMtrResponse>* AppendStream(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ReadPage(grpc::CallbackServerContext* context,
                                     const v1::ReadPageRequest* request,
                                     v1::ReadPageResponse* response) override;
  grpc::ServerWriteReactor<v1::TailResponse>* Tail(grpc::CallbackServerContext* context,
                                                   const v1::TailRequest* request) override;

 private:
  // Finishes the call, whose response is filled, once this node is proven to be the writer.
  void FinishWhenCurrent(grpc::ServerUnaryReactor* reactor);

  compute::WriterVolume& volume_;
  compute::MtrAppender appender_;
  const VolumeServiceOptions options_;
  AppendMtrStreams streams_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<int> tails_{0};
};

}  // namespace sextant::server
