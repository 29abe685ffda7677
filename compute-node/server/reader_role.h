// ReaderRole: this node reads the volume that another one writes, and serves SQL over it.
#pragma once

#include <memory>

#include "compute-node/net/timer_queue.h"
#include "compute-node/reader/reader_volume.h"
#include "compute-node/server/role.h"
#include "compute-node/server/role_parts.h"
#include "compute-node/writer/write_ticket.h"

namespace sextant::server {

class ReaderRole final : public Role {
 public:
  explicit ReaderRole(const RoleContext& context) : context_(context) {}

  RoleKind kind() const override { return RoleKind::kReader; }
  absl::Status Start() override;
  void Stop(const absl::Status& why) override;
  void FillStatus(v1::ComputeStatus* status) const override;
  std::vector<prometheus::MetricFamily> Metrics() const override;
  absl::StatusOr<PromotionAnswer> Promotion(bool) override {
    return PromotionAnswer{RoleKind::kWriter};
  }
  std::optional<ComputeNodeAddress> Writer() const override;

 private:
  void Serve();

  const RoleContext context_;
  compute::TimerQueue timers_;
  compute::WriteTicketQueue tickets_;  // never given: nothing writes here
  std::unique_ptr<compute::ReaderVolume> volume_;
  std::unique_ptr<VolumeBackend> log_;
  ServedSql sql_;
};

}  // namespace sextant::server
