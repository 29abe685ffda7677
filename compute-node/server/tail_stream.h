// TailStream: one client that follows the redo. Internal to server/.
//
// Has a thread, which reads log piece by piece and waits for each piece to be taken by gRPC's flow
// control: a slow client holds up nobody, and falls back to log read from segments.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "compute-node/server/volume_backend.h"
#include "compute-node/writer/log_tail.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::server {

class TailStream final : public grpc::ServerWriteReactor<v1::TailResponse>, private OpenCall {
 public:
  // Owns itself until gRPC has let go of it.
  static TailStream* Start(grpc::CallbackServerContext* context, VolumeUse use, Lsn after);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  TailStream(grpc::CallbackServerContext* context, VolumeUse use, Lsn after);
  ~TailStream() override;

  void End(const absl::Status& why) override;
  void Cancel() override { context_.TryCancel(); }
  void Run();
  absl::Status Follow();
  // CANCELLED: the client is gone. Otherwise an error is why this stream has to end.
  absl::Status Send(std::vector<log::RedoRecord> records);

  grpc::CallbackServerContext& context_;
  const VolumeUse use_;
  compute::LogTail tail_;
  std::mutex mutex_;  // of what follows
  std::condition_variable written_;
  bool is_writing_ = false;
  bool is_gone_ = false;
  absl::Status why_ending_;  // not OK: no more is sent
  v1::TailResponse response_;
  std::thread thread_;
};

}  // namespace sextant::server
