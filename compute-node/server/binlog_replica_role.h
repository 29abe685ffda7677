// BinlogReplicaRole: this node replays the source's binlog on its own copy, and serves reads from
// it.
//
// One thread follows: it looks among the compute nodes for the source of the highest tenure, and
// takes what that sends. A copy that holds what the source does not is rewound first; one that
// cannot be (schema changes, purged transactions), or is new, is seeded by a snapshot.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "compute-node/binlog/engine/replica_engine.h"
#include "compute-node/binlog/replication/failover.h"
#include "compute-node/server/binlog_peers.h"
#include "compute-node/server/binlog_service.h"
#include "compute-node/server/role.h"
#include "compute-node/sql/executor.h"

namespace sextant::server {

class BinlogReplicaRole final : public Role, private BinlogNode {
 public:
  explicit BinlogReplicaRole(const RoleContext& context);

  RoleKind kind() const override { return RoleKind::kBinlogReplica; }
  absl::Status Start() override;
  void Stop(const absl::Status& why) override;
  void FillStatus(v1::ComputeStatus* status) const override;
  std::vector<prometheus::MetricFamily> Metrics() const override;
  // FAILED_PRECONDITION: transactions that clients were told of might be lost. Asks the other nodes
  // to pledge (binlog/replication/pledge.h), and takes seconds where some do not answer.
  absl::StatusOr<PromotionAnswer> Promotion(bool is_forced) override;
  std::optional<ComputeNodeAddress> Writer() const override;

 private:
  using Stream = grpc::ClientReaderWriter<v1::BinlogFollowRequest, v1::BinlogFollowResponse>;
  // A copy and what runs on it; replaced as a whole when it is rewound or seeded.
  struct Copy {
    std::shared_ptr<binlog::LocalData> data;
    std::unique_ptr<binlog::ReplicaEngine> engine;
    compute::WriteTicketQueue tickets;  // nobody writes
    std::unique_ptr<sql::SqlExecutor> sql;
  };

  // --- BinlogNode
  void FillStatus(v1::BinlogStatus* status) const override;
  binlog::SourceEngine* source() override { return nullptr; }
  std::shared_ptr<binlog::LocalData> data() override;
  binlog::TxnSeq synced() const override;
  absl::Status Pledge(const binlog::Pledge& asked) override;

  // The pledge that this node asks for, its own given.
  absl::StatusOr<binlog::Pledge> Claim();
  // What it and those that pledged hold.
  absl::StatusOr<std::vector<binlog::Candidate>> Collect(const binlog::Pledge& pledge);
  absl::StatusOr<PromotionAnswer> Lead(const binlog::Pledge& pledge, bool is_forced);
  // Ends those of `pledges` whose candidates have given up, by what `others` were asked after
  // `pledges` were read.
  absl::Status Release(const binlog::Pledges& pledges, const std::vector<BinlogPeer>& others);

  std::shared_ptr<Copy> copy() const;
  absl::Status OpenCopy();
  // CANCELLED: it is being promoted with this copy.
  absl::Status CloseCopy(const absl::Status& why);
  void SavePromotion();

  void RunFollow();
  bool PauseFor(absl::Duration how_long);
  // What a source's welcome means to this copy.
  struct Plan {
    absl::Status status;  // not OK: the source is not one to follow
    binlog::GtidSet source;
    bool must_seed = false, must_rewind = false;
    bool is_to_follow() const { return status.ok() && !must_seed && !must_rewind; }
  };
  Plan Judge(const v1::BinlogWelcome& welcome) const;
  // Until the stream ends; why it did.
  absl::Status Follow(const BinlogPeer& source);
  absl::Status Receive(Stream* stream, const v1::BinlogWelcome& welcome,
                       const binlog::GtidSet& source);
  // FAILED_PRECONDITION: it has pledged itself to another one.
  static absl::Status CheckMayFollow(const Copy& copy, const v1::BinlogWelcome& welcome);
  // That it follows the source, which had `source` synced at the welcome, and holds its history
  // through `holds`. From when its copy is whole the node is ready: it counts in a promotion.
  absl::Status SaveFollowed(const Copy& copy, const v1::BinlogWelcome& welcome,
                            const binlog::GtidSet& source, binlog::TxnSeq holds);
  // Cancels the stream when a source of a higher tenure is there.
  void Watch();
  absl::Status Rewind(const binlog::GtidSet& source);
  absl::Status Seed(const BinlogPeer& source);
  absl::Status Download(const BinlogPeer& source, const std::string& path,
                        v1::SnapshotChunk* first);

  const RoleContext context_;
  const BinlogPeers peers_;

  mutable std::mutex mutex_;
  std::condition_variable stopping_;
  bool is_stopping_ = false;
  std::shared_ptr<Copy> copy_;  // null while it is being replaced
  std::optional<ComputeNodeAddress> source_;
  uint64_t followed_tenure_ = 0;
  grpc::ClientContext* call_ = nullptr;  // the stream under way
  std::string seeding_;
  // Of a promotion under way: the tenure that it asks for, and, once it is decided, begins next.
  // 0: none.
  uint64_t claim_ = 0, promoted_ = 0;
  std::thread follow_, watch_;
};

}  // namespace sextant::server
