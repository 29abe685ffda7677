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
#include <set>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "compute-node/writer/mtr_appender.h"
#include "compute-node/writer/writer_volume.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::server {

class AppendMtrStream;

// The streams that are open, so that they can be ended. Thread-safe.
class AppendMtrStreams {
 public:
  void Add(AppendMtrStream* stream);
  void Remove(AppendMtrStream* stream);
  void StopAll();

 private:
  std::mutex mutex_;
  std::set<AppendMtrStream*> streams_;
  bool is_stopped_ = false;
};

class AppendMtrStream final
    : public grpc::ServerBidiReactor<v1::AppendMtrRequest, v1::AppendMtrResponse> {
 public:
  struct Options {
    absl::Duration commit_timeout;
    int max_unanswered = 0;
  };

  // Owns itself until gRPC and the volume have let go of it.
  static AppendMtrStream* Start(compute::WriterVolume* volume, compute::MtrAppender* appender,
                                AppendMtrStreams* streams, Options options);

  // Takes no more requests and ends once those taken are answered.
  void Stop();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  struct Answer {
    v1::AppendMtrResponse response;
    bool is_ready = false;
  };

  AppendMtrStream(compute::WriterVolume* volume, compute::MtrAppender* appender,
                  AppendMtrStreams* streams, Options options)
      : volume_(*volume), appender_(*appender), streams_(*streams), options_(options) {}

  void Appended(Answer* answer, absl::Duration timeout, const absl::StatusOr<Lsn>& lsn);
  void Answered(Answer* answer, const absl::Status& status);
  void ReadNextLocked();
  void WriteNextLocked();

  compute::WriterVolume& volume_;
  compute::MtrAppender& appender_;
  AppendMtrStreams& streams_;
  const Options options_;
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
  bool is_stopping_ = false;
  bool is_finished_ = false;
};

}  // namespace sextant::server
