// For tests of services: the node behind ComputeService, as a writer alone.
#pragma once

#include <functional>

#include "compute-node/server/compute_service.h"
#include "compute-node/server/writer_report.h"

namespace sextant::server {

// `volume` outlives it. Members cannot be changed here: UNIMPLEMENTED.
class WriterNode final : public NodeControl {
 public:
  explicit WriterNode(const compute::WriterVolume* volume) : volume_(*volume) {}
  void FillStatus(v1::ComputeStatus* status) const override {
    status->set_role("writer");
    FillWriterStatus(volume_.status(), status);
  }
  void ReplaceSegment(const v1::ReplaceSegmentRequest&,
                      std::function<void(absl::Status)> done) override {
    done(absl::UnimplementedError("not here"));
  }
  absl::Status UndoReplace(const v1::UndoReplaceRequest&) override {
    return absl::UnimplementedError("not here");
  }
  absl::Status Promote(const v1::PromoteRequest&, v1::PromoteResponse*) override {
    return absl::OkStatus();
  }

 private:
  const compute::WriterVolume& volume_;
};

}  // namespace sextant::server
