// AppendMtrStream: one client's pipeline of mini-transactions. Internal to server/.
//
// Requests are appended in the order in which they came, the next one as soon as the one before has
// its LSN; answers leave in the same order, each once its commit is durable. So any number may be
// under way. The requests of one message share a batch of redo where they can, and wait for their
// durability as one; answers that are ready share a message.
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
    : public grpc::ServerBidiReactor<v1::AppendMtrBatch, v1::AppendMtrAnswers>,
      private OpenCall {
 public:
  // Owns itself until gRPC and the volume have let go of it.
  static AppendMtrStream* Start(grpc::CallbackServerContext* context, VolumeUse use);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  struct Answer {
    uint64_t id = 0;
    Lsn commit_lsn;
    absl::Status status;
    bool is_ready = false;
  };
  // Consecutive answers that wait for one LSN, by number; those that are ready already wait for
  // nothing.
  struct Run {
    uint64_t begin = 0, end = 0;
    Lsn last;
    absl::Duration timeout;
  };
  // Where the append of a request is, seen from the thread that began it.
  enum class Step { kInside, kElsewhere, kDone };

  AppendMtrStream(grpc::CallbackServerContext* context, VolumeUse use)
      : context_(*context), use_(std::move(use)) {}

  void End(const absl::Status& why) override;
  void Cancel() override { context_.TryCancel(); }
  void AppendRequests();
  // False: the append goes on elsewhere, and Appended goes on from there.
  bool AppendNext();
  void Appended(const absl::StatusOr<Lsn>& lsn, absl::Duration timeout);
  Run TakeRun();
  void Await(const Run& run);
  void Answered(const Run& run, const absl::Status& status);
  void ReadNextLocked();
  void TakeReadyLocked();
  void WriteNextLocked();
  static void Fill(const Answer& answer, v1::AppendMtrResponse* out);

  grpc::CallbackServerContext& context_;
  const VolumeUse use_;
  std::shared_ptr<AppendMtrStream> self_;  // until OnDone; answers under way hold it too

  v1::AppendMtrBatch requests_;  // of whoever appends, while is_appending_
  int next_ = 0;                 // in requests_

  std::mutex mutex_;
  v1::AppendMtrAnswers outgoing_;  // being written; kept for its memory
  std::deque<Answer> answers_;     // in the order of the requests
  uint64_t first_ = 0;             // number of answers_.front()
  Run run_;                        // appended, and not yet waited for
  Step step_ = Step::kDone;
  bool is_reading_ = true;
  bool is_appending_ = false;  // a request has no LSN yet
  bool is_writing_ = false;
  bool is_broken_ = false;    // a write failed: the client is gone
  bool is_read_out_ = false;  // the client sends no more
  absl::Status why_ending_;   // not OK: ends once what it took is answered
  bool is_finished_ = false;
};

}  // namespace sextant::server
