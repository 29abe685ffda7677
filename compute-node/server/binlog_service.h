// BinlogService over gRPC: what the nodes of the traditional path ask each other.
//
// It stays registered while roles come and go; a role attaches its BinlogNode. Synchronous API:
// there is a handful of followers, each with two threads that mostly wait.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "compute-node/binlog/engine/source_engine.h"
#include "compute-node/server/attachment.h"
#include "sextant/v1/binlog.grpc.pb.h"

namespace sextant::server {

// What a role shows of itself.
class BinlogNode {
 public:
  virtual ~BinlogNode() = default;
  virtual void FillStatus(v1::BinlogStatus* status) const = 0;
  // Null on a replica.
  virtual binlog::SourceEngine* source() = 0;
  // The binlog or relay log, and how far it is synced; null: not now.
  virtual std::shared_ptr<binlog::LocalData> data() = 0;
  virtual binlog::TxnSeq synced() const = 0;
  // Returns when it is durable, and nothing is acknowledged to sources of lower tenures any more.
  // Errors as CheckPledge; UNAVAILABLE: not now.
  virtual absl::Status Pledge(const binlog::Pledge& asked) = 0;
};

// Tenures, pledges, and whether it is whole.
void FillState(const binlog::NodeState& state, v1::BinlogStatus* status);

class BinlogService final : public v1::BinlogService::Service {
 public:
  BinlogService();

  // `node` lives until AwaitUnused has returned.
  void Attach(BinlogNode* node) { node_.Attach(node); }
  void Detach(const absl::Status& why) { node_.Detach(why); }
  // Followers leave when their source engine has stopped.
  void AwaitUnused() { node_.AwaitUnused(); }

  grpc::Status Follow(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::BinlogFollowResponse, v1::BinlogFollowRequest>* stream) override;
  grpc::Status Snapshot(grpc::ServerContext* context, const v1::SnapshotRequest* request,
                        grpc::ServerWriter<v1::SnapshotChunk>* stream) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::BinlogStatusRequest* request,
                         v1::BinlogStatus* response) override;
  grpc::Status Read(grpc::ServerContext* context, const v1::ReadBinlogRequest* request,
                    grpc::ServerWriter<v1::BinlogChunk>* stream) override;
  grpc::Status Pledge(grpc::ServerContext* context, const v1::BinlogPledgeRequest* request,
                      v1::BinlogStatus* response) override;
  grpc::Status Purge(grpc::ServerContext* context, const v1::PurgeBinlogRequest* request,
                     v1::PurgeBinlogResponse* response) override;

 private:
  using FollowStream = grpc::ServerReaderWriter<v1::BinlogFollowResponse, v1::BinlogFollowRequest>;
  absl::Status Serve(binlog::SourceEngine& source, FollowStream* stream,
                     binlog::BinlogReader reader, const std::function<bool()>& is_over);
  absl::Status SendSnapshot(BinlogNode& node, grpc::ServerWriter<v1::SnapshotChunk>* stream);

  Attachment<BinlogNode> node_;
};

}  // namespace sextant::server
