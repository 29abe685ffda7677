// AppendMtrStream: one client's pipeline of mini-transactions. Internal to server/.
//
// Requests are appended in the order in which they came, the next one as soon as the one before has
// its LSN; answers leave in the same order, each once its commit is durable. So any number may be
// under way.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "compute-node/server/volume_backend.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::server {

class AppendMtrStream final
    : public grpc::ServerBidiReactor<v1::AppendMtrRequest, v1::AppendMtrResponse>,
      private OpenCall {
 public:
  // Owns itself until gRPC and the volume have let go of it.
  static AppendMtrStream* Start(grpc::CallbackServerContext* context, VolumeUse use);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  struct Answer {
    v1::AppendMtrResponse response;
    bool is_ready = false;
  };

  AppendMtrStream(grpc::CallbackServerContext* context, VolumeUse use)
      : context_(*context), use_(std::move(use)) {}

  void End(const absl::Status& why) override;
  void Cancel() override { context_.TryCancel(); }
  void Appended(Answer* answer, absl::Duration timeout, const absl::StatusOr<Lsn>& lsn);
  void Answered(Answer* answer, const absl::Status& status);
  void ReadNextLocked();
  void WriteNextLocked();

  grpc::CallbackServerContext& context_;
  const VolumeUse use_;
  std::shared_ptr<AppendMtrStream> self_;  // until OnDone; answers under way hold it too

  v1::AppendMtrRequest request_;
  std::mutex mutex_;
  // In the order of the requests. A deque: answers keep their address while others come and go.
  std::deque<Answer> answers_;
  bool is_reading_ = true;
  bool is_appending_ = false;  // a request has no LSN yet
  bool is_writing_ = false;
  bool is_broken_ = false;    // a write failed: the client is gone
  bool is_read_out_ = false;  // the client sends no more
  absl::Status why_ending_;   // not OK: ends once what it took is answered
  bool is_finished_ = false;
};

}  // namespace sextant::server
