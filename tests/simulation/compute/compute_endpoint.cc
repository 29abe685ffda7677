// The part of ComputeHost (compute_host.h) that answers clients who want the newest, as the session
// layer does (compute-node/sql/request_run.cc, compute-node/server/volume_service.cc): nothing that
// was read leaves before it is durable and this node is proven to have been the writer since.
#include <utility>

#include "tests/simulation/compute/compute_host.h"

namespace sextant::simulation {

struct ComputeHost::Request {
  Instant asked_at;  // true time, for the checker
  Lsn head_before;   // when it came in
  Lsn position;      // what it read
  Instant deadline;
  DurableDone done;
};

compute::WaitToken ComputeHost::Park(std::optional<Lsn> commit, DurableDone done) {
  const compute::WaitToken token = running_->last_wait = running_->last_wait.Next();
  running_->waits[token] = {commit, std::move(done)};
  return token;
}

void ComputeHost::ReadNewest(PageNo page, absl::Duration timeout, DurableDone done) {
  compute::Writer& writer = *running_->writer;
  auto request = std::make_shared<Request>(
      Request{sim_.loop.now(), writer.head(), writer.vdl(), now() + timeout, std::move(done)});
  if (sim_.rng.OneIn(3)) {  // from segments
    return Read(page, writer.vdl(), [this, request](const auto& image) {
      if (!image.ok()) return request->done(image.status());
      Present(request);
    });
  }
  // From the cache, which holds what this writer appended: it may read on for a while.
  sim_.loop.After(sim_.Between(absl::ZeroDuration(), absl::Milliseconds(2)), process_,
                  [this, request] {
                    if (sim_.rng.OneIn(2)) request->position = running_->writer->head();
                    Present(request);
                  });
}

void ComputeHost::Present(const std::shared_ptr<Request>& request) {
  const auto durable = [this, request](const absl::Status& status) {
    // Its acknowledgements prove it.
    if (!status.ok() || request->position > request->head_before) return Show(request, status);
    Prove(request);
  };
  if (request->position <= running_->writer->vdl()) return durable(absl::OkStatus());
  running_->writer->WaitDurable(request->position, Park(std::nullopt, durable), request->deadline);
  Settle();
}

void ComputeHost::Prove(const std::shared_ptr<Request>& request) {
  const auto proven = [this, request](const absl::Status& status) {
    if (absl::IsFailedPrecondition(status)) sim_.Count(Rare::kProofRefusedFenced);
    if (absl::IsDeadlineExceeded(status)) sim_.Count(Rare::kProofTooLate);
    Show(request, status);
  };
  running_->writer->WhenCurrent(Park(std::nullopt, proven), request->deadline);
  // Not within an output that is being carried out.
  sim_.loop.After(absl::ZeroDuration(), process_, [this] { Settle(); });
}

void ComputeHost::Show(const std::shared_ptr<Request>& request, const absl::Status& status) {
  if (status.ok()) {
    sim_.observer->NewestShown(compute_, epoch(), request->position, request->asked_at);
  }
  request->done(status);
}

}  // namespace sextant::simulation
