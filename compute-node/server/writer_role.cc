// See writer_role.h.
#include "compute-node/server/writer_role.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "common/base/status.h"
#include "common/rpc/logging.h"
#include "compute-node/server/writer_report.h"

namespace sextant::server {

using compute::VolumePhase;

absl::Status WriterRole::Start() {
  compute::WriterVolumeOptions options = context_.flags.volume;
  ComputeLatencies& latencies = context_.latencies;
  options.on_durable = [&latencies](absl::Duration took) { latencies.ObserveCommit(took); };
  options.on_grown = [&latencies](absl::Duration took) { latencies.ObserveGrowth(took); };
  options.on_fetched = [&latencies](absl::Duration took) { latencies.ObservePageRead(took); };
  options.history = std::exchange(context_.handover.history, {});
  ASSIGN_OR_RETURN(volume_, compute::WriterVolume::Make(std::move(options),
                                                        MakePeers(context_.flags, &timers_)));
  log_ = std::make_unique<VolumeBackend>(
      volume_.get(), &tickets_,
      VolumeServiceOptions{.commit_timeout = absl::Milliseconds(context_.flags.commit_timeout_ms)});
  context_.volume.Attach(log_.get());
  redo_ = std::make_unique<RedoBackend>(volume_.get());
  context_.redo.Attach(redo_.get());
  volume_->Start([this](VolumePhase phase) { PhaseChanged(phase); });
  return absl::OkStatus();
}

void WriterRole::PhaseChanged(VolumePhase phase) {
  if (phase == VolumePhase::kOpen) Serve();
  context_.host.SetReady(phase == VolumePhase::kOpen);
  if (phase == VolumePhase::kFenced) {
    spdlog::error("this node is no longer the writer{}",
                  rpc::Fields("error", volume_->CheckOpen()));
    // It may be of use all the same, if it is told where to look for its successor.
    if (context_.flags.HasOtherComputeNodes()) {
      context_.host.ChangeRole(
          RoleKind::kReader,
          absl::UnavailableError("another node is the writer now, and this one only reads from "
                                 "here on: connect again"));
    }
  }
  // A volume that cannot be opened ends the process; a person must look at the storage nodes first.
  if (phase == VolumePhase::kFailed) context_.host.Fail(volume_->CheckOpen());
}

void WriterRole::Serve() {
  sql_.Serve([this] {
    auto sql = std::make_unique<sql::SqlExecutor>(volume_.get(), &tickets_,
                                                  MakeSqlOptions(context_.flags));
    context_.sql.Attach(sql.get());
    return sql;
  });
}

void WriterRole::Stop(const absl::Status& why) {
  sql::SqlExecutor* const sql = sql_.Close();
  context_.sql.Detach(why);
  context_.volume.Detach(log_.get(), why);
  context_.redo.Detach(redo_.get(), why);
  tickets_.Shutdown();
  if (volume_->phase() == VolumePhase::kOpen) {
    const absl::Status drained =
        volume_->Drain(absl::Milliseconds(context_.flags.drain_timeout_ms));
    if (!drained.ok()) spdlog::warn("commits were left waiting{}", rpc::Fields("error", drained));
  }
  if (sql != nullptr) sql->CloseSessions(why);
  // What still waits is answered now, so that the calls that wait can end.
  volume_->Shutdown();
  context_.sql.AwaitUnused(kAnswerPatience);
  context_.volume.AwaitUnused(log_.get(), kAnswerPatience);
  context_.redo.AwaitUnused(redo_.get(), kAnswerPatience);
  if (sql != nullptr) sql->Stop();
}

void WriterRole::FillStatus(v1::ComputeStatus* status) const {
  FillWriterStatus(volume_->status(), status);
}

std::vector<prometheus::MetricFamily> WriterRole::Metrics() const {
  return WriterMetrics(*volume_);
}

std::optional<ComputeNodeAddress> WriterRole::Writer() const {
  if (volume_->phase() != VolumePhase::kOpen) return std::nullopt;
  return context_.host.self();
}

void WriterRole::ReplaceSegment(const v1::ReplaceSegmentRequest& request,
                                std::function<void(absl::Status)> done) {
  volume_->ReplaceSegment(PgId(request.pg()), request.from(), request.to(), request.hold(),
                          std::move(done));
}

absl::Status WriterRole::UndoReplace(const v1::UndoReplaceRequest& request) {
  return volume_->UndoReplacement(PgId(request.pg()), request.from());
}

}  // namespace sextant::server
