// WriterRole: this node opens the volume for writing, and serves SQL and the log service over it.
#pragma once

#include <memory>

#include "compute-node/net/timer_queue.h"
#include "compute-node/server/role.h"
#include "compute-node/server/role_parts.h"
#include "compute-node/writer/write_ticket.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::server {

class WriterRole final : public Role {
 public:
  explicit WriterRole(const RoleContext& context) : context_(context) {}

  RoleKind kind() const override { return RoleKind::kWriter; }
  absl::Status Start() override;
  void Stop(const absl::Status& why) override;
  void FillStatus(v1::ComputeStatus* status) const override;
  std::vector<prometheus::MetricFamily> Metrics() const override;
  absl::StatusOr<PromotionAnswer> Promotion(bool) override {
    return PromotionAnswer{RoleKind::kWriter};
  }
  std::optional<ComputeNodeAddress> Writer() const override;
  void ReplaceSegment(const v1::ReplaceSegmentRequest& request,
                      std::function<void(absl::Status)> done) override;
  absl::Status UndoReplace(const v1::UndoReplaceRequest& request) override;

 private:
  void PhaseChanged(compute::VolumePhase phase);
  void Serve();

  const RoleContext context_;
  compute::TimerQueue timers_;
  compute::WriteTicketQueue tickets_;
  std::unique_ptr<compute::WriterVolume> volume_;
  std::unique_ptr<VolumeBackend> log_;
  std::unique_ptr<RedoBackend> redo_;
  ServedSql sql_;
};

}  // namespace sextant::server
