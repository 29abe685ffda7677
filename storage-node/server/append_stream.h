// AppendReactor: one peer's append stream over gRPC. Internal to server/.
//
// At most one read and one write are under way. Acks that come while a write is under way wait and
// leave together in the next message; acks of one segment are cumulative, so only the newest waits.
// A peer that does not read its acks is not read from either. Probes are answered where they are
// read, so that no queue for the disk delays them.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage {

// What an AppendRequest brings. The batch is copied once; null where there are probes instead.
struct ParsedAppend {
  std::shared_ptr<const std::string> batch;
  std::vector<protocol::EpochProbe> probes;
};
// INVALID_ARGUMENT: not an AppendRequest.
absl::StatusOr<ParsedAppend> ParseAppendRequest(const grpc::ByteBuffer& request);

class AppendReactor;

// The streams that are open, so that a stopping server can end them.
class AppendStreams {
 public:
  // False: no streams are taken any more.
  bool Add(AppendReactor* stream);
  void Remove(AppendReactor* stream);
  void EndAll();

 private:
  std::mutex mutex_;
  std::set<AppendReactor*> open_;
  bool is_closed_ = false;
};

// Deletes itself when gRPC is done with it.
class AppendReactor : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  AppendReactor(StorageNode* node, AppendStreams* streams);

  // Any thread; the first reason counts.
  void End(grpc::Status status);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void Send(std::vector<protocol::AppendAck> acks);
  void Answer(const std::vector<protocol::EpochProbe>& probes);
  void ReadNext();
  void WriteNext();  // with mutex_ held

  StorageNode* const node_;
  AppendStreams* const streams_;
  std::unique_ptr<StorageNode::AppendStream> stream_;
  grpc::ByteBuffer request_;   // of the read under way
  grpc::ByteBuffer response_;  // of the write under way

  std::mutex mutex_;
  std::vector<protocol::AppendAck> waiting_;    // guarded by mutex_, as is all below
  std::vector<protocol::EpochAnswer> answers_;  // likewise, the newest of each segment
  bool is_writing_ = false;
  bool is_reading_paused_ = false;
  bool is_ended_ = false;
  grpc::Status end_status_;
};

}  // namespace sextant::storage
