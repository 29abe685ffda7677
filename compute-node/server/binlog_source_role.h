// BinlogSourceRole: this node runs the transactions of the traditional path, and is followed.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "compute-node/server/binlog_peers.h"
#include "compute-node/server/binlog_service.h"
#include "compute-node/server/role.h"
#include "compute-node/sql/executor.h"

namespace sextant::server {

class BinlogSourceRole final : public Role, private BinlogNode {
 public:
  explicit BinlogSourceRole(const RoleContext& context);

  RoleKind kind() const override { return RoleKind::kBinlogSource; }
  absl::Status Start() override;
  void Stop(const absl::Status& why) override;
  void FillStatus(v1::ComputeStatus* status) const override;
  std::vector<prometheus::MetricFamily> Metrics() const override;
  absl::StatusOr<PromotionAnswer> Promotion(bool) override {
    return PromotionAnswer{RoleKind::kBinlogSource};
  }
  std::optional<ComputeNodeAddress> Writer() const override { return context_.host.self(); }

 private:
  // --- BinlogNode
  void FillStatus(v1::BinlogStatus* status) const override;
  binlog::SourceEngine* source() override { return engine_.get(); }
  std::shared_ptr<binlog::LocalData> data() override { return data_; }
  binlog::TxnSeq synced() const override { return engine_->status().synced; }
  absl::Status Pledge(const binlog::Pledge& asked) override;

  // Steps down when another node is the source of a higher tenure.
  void Watch();
  std::string WhyNotToLead() const;  // empty: it may
  void StepDown(const std::string& why);

  const RoleContext context_;
  const BinlogPeers peers_;
  compute::WriteTicketQueue tickets_;
  std::shared_ptr<binlog::LocalData> data_;
  std::unique_ptr<binlog::SourceEngine> engine_;
  std::unique_ptr<sql::SqlExecutor> sql_;

  std::mutex pledge_mutex_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool is_stopping_ = false;
  std::thread watch_;
};

}  // namespace sextant::server
