// The part of ComputeHost (compute_host.h) that reads pages: from one complete segment, others when
// it fails, as compute-node/net/page_fetcher.h and WriterVolume::BeginRead do.
#include <algorithm>
#include <utility>

#include "tests/simulation/compute/compute_host.h"

namespace sextant::simulation {

struct ComputeHost::Fetch {
  protocol::ReadPagesRequest request;
  ReadDone done;
  Instant deadline;
  int under_way = 0;
};

void ComputeHost::Read(PageNo page, Lsn read_point, ReadDone done) {
  compute::Writer& writer = *running_->writer;
  if (writer.is_fenced()) return done(absl::FailedPreconditionError("fenced"));
  // Half of them, so that segments are asked too.
  const compute::PageRef hit = sim_.rng.OneIn(2) ? running_->cache->Get(page, read_point) : nullptr;
  if (hit != nullptr) {
    sim_.Count(Rare::kCacheAnswered);
    sim_.observer->PageRead(compute_, epoch(), page, read_point, *hit);
    return done(*hit);
  }
  const PgId pg = running_->recovered.descriptor.geometry.PgOf(page);
  const Lsn at = std::min(read_point, writer.vdl());
  auto fetch = std::make_shared<Fetch>();
  fetch->request = {.segment = {running_->recovered.descriptor.volume, pg},
                    .epoch = epoch(),
                    .read_point = at,
                    .pg_lsn = std::min((*writer.DurableTails())[pg.value()], at),
                    .pages = {page}};
  fetch->done = std::move(done);
  fetch->deadline = now() + world_.plan->read_deadline;
  OpenPoint(at);
  Ask(fetch);
}

std::vector<size_t> ComputeHost::CompleteNodes(const Fetch& fetch) const {
  std::vector<size_t> nodes;
  const PgId pg = fetch.request.segment.pg;
  for (quorum::Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
    const std::optional<size_t> node = NodeOf({pg, slot});
    if (!node) continue;
    const compute::MemberProgress member = running_->writer->Member({pg, slot});
    const bool is_reachable = member.state == compute::MemberState::kStreaming ||
                              member.state == compute::MemberState::kBehind ||
                              member.state == compute::MemberState::kNoSpace;
    if (is_reachable && member.scl >= *fetch.request.pg_lsn) nodes.push_back(*node);
  }
  return nodes;
}

void ComputeHost::Ask(const std::shared_ptr<Fetch>& fetch) {
  if (!fetch->done) return;
  if (now() >= fetch->deadline) {
    return EndFetch(fetch, absl::UnavailableError("no complete segment answered"));
  }
  const std::vector<size_t> nodes = CompleteNodes(*fetch);
  const int wanted = sim_.Happens(world_.plan->hedge_one_in) ? 2 : 1;
  for (int i = 0; i < wanted && !nodes.empty(); ++i) {
    ++fetch->under_way;
    const size_t node = nodes[sim_.rng.Below(nodes.size())];
    StorageHost* host = world_.nodes[node];
    world_.network->Call<protocol::ReadPagesReply>(
        process_, host->process(), world_.plan->call_timeout,
        [host, request = fetch->request](Network::Answer<protocol::ReadPagesReply> answer) {
          host->ReadPages(request, std::move(answer));
        },
        [this, fetch, node](const auto& reply) { PageAnswered(fetch, node, reply); });
  }
  if (nodes.empty()) sim_.loop.After(world_.plan->tick, process_, [this, fetch] { Ask(fetch); });
}

void ComputeHost::PageAnswered(const std::shared_ptr<Fetch>& fetch, size_t node,
                               const absl::StatusOr<protocol::ReadPagesReply>& reply) {
  --fetch->under_way;
  if (!fetch->done) return;
  if (reply.ok()) return EndFetch(fetch, reply->pages.front());
  if (absl::IsFailedPrecondition(reply.status())) return EndFetch(fetch, reply.status());
  if (absl::IsOutOfRange(reply.status())) {
    sim_.observer->ReadRefused(compute_, static_cast<NodeNo>(node), fetch->request, reply.status());
  }
  if (fetch->under_way > 0) return;
  sim_.loop.After(world_.plan->tick, process_, [this, fetch] { Ask(fetch); });
}

void ComputeHost::EndFetch(const std::shared_ptr<Fetch>& fetch,
                           absl::StatusOr<page::PageImage> result) {
  const ReadDone done = std::exchange(fetch->done, nullptr);
  ClosePoint(fetch->request.read_point);
  if (result.ok()) {
    const PageNo page = fetch->request.pages.front();
    const Lsn at = fetch->request.read_point;
    sim_.observer->PageRead(compute_, epoch(), page, at, *result);
    const auto used =
        running_->cache->InsertRead(page, std::make_shared<const page::PageImage>(*result), at);
    if (!used.ok()) sim_.Violate("I7", "writer ", compute_, ": ", View(used.status().message()));
  }
  done(std::move(result));
}

}  // namespace sextant::simulation
