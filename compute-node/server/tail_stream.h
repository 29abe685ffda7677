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
#include "compute-node/writer/log_tail.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::server {

class TailStream final : public grpc::ServerWriteReactor<v1::TailResponse> {
 public:
  // Owns itself until gRPC has let go of it. `tails` counts those that run, at most `max_tails`.
  static TailStream* Start(compute::WriterVolume* volume, Lsn after,
                           const std::atomic<bool>* is_stopping, std::atomic<int>* tails,
                           int max_tails);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  TailStream(compute::WriterVolume* volume, Lsn after, const std::atomic<bool>* is_stopping,
             std::atomic<int>* tails);
  ~TailStream() override;

  void Run();
  absl::Status Follow();
  // False: the client is gone.
  bool Send(std::vector<log::RedoRecord> records);

  compute::WriterVolume& volume_;
  compute::LogTail tail_;
  const std::atomic<bool>& is_stopping_;
  std::atomic<int>& tails_;
  std::mutex mutex_;
  std::condition_variable written_;
  bool is_writing_ = false;
  bool is_gone_ = false;
  v1::TailResponse response_;
  std::thread thread_;
};

}  // namespace sextant::server
