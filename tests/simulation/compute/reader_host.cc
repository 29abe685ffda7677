// See reader_host.h.
#include "tests/simulation/compute/reader_host.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sextant::simulation {

using compute::PageCache;
using compute::Replica;

// One shard: which pages share one must not depend on where memory lies.
ReaderHost::Running::Running(const ComputePlan& plan, const std::string& name)
    : replica(name, {.max_pending_bytes = plan.reader_pending_bytes}),
      cache(plan.cache_bytes, /*shards=*/1, plan.remembered_changes) {}

ReaderHost::ReaderHost(World world, ReaderNo reader)
    : sim_(*world.sim),
      world_(std::move(world)),
      reader_(reader),
      process_(sim_.loop.AddProcess(absl::Seconds(static_cast<int64_t>(sim_.rng.Below(1000))),
                                    0.99 + static_cast<double>(sim_.rng.Below(20)) / 1000)) {}

void ReaderHost::Start() {
  SEXTANT_CHECK(!is_up());
  sim_.loop.Start(process_);
  running_ = std::make_unique<Running>(*world_.plan, Text("reader-", reader_));
  Begin();
}

void ReaderHost::Kill() {
  SEXTANT_CHECK(is_up());
  sim_.Tell("reader ", reader_, " dies, ", Describe());
  sim_.observer->ReaderDied(reader_);
  sim_.loop.Kill(process_);
  running_.reset();
}

std::string ReaderHost::Describe() const {
  if (!is_up()) return "down";
  return Text(is_open() ? "open" : "looking for the writer", " at epoch ", epoch(), ", VDL ",
              running_->published);
}

Lsn ReaderHost::LowestPoint() const {
  const auto point = running_->points.lower_bound(floor());
  if (point == running_->points.end()) return running_->published;
  return std::min(point->first, running_->published);
}

void ReaderHost::ClosePoint(Lsn lsn) {
  const auto point = running_->points.find(lsn);
  SEXTANT_CHECK(point != running_->points.end());
  if (--point->second.count == 0) running_->points.erase(point);
}

// --- following

void ReaderHost::BeginLater() {
  const absl::Duration pause =
      sim_.Between(world_.plan->reconnect_low, world_.plan->reconnect_high);
  sim_.loop.After(pause, process_, [this] { Begin(); });
}

void ReaderHost::Begin() {
  Running& running = *running_;
  std::vector<size_t> writers;
  for (size_t i = 0; i < world_.computes.size(); ++i) {
    if (world_.computes[i]->is_open()) writers.push_back(i);
  }
  if (writers.empty()) return BeginLater();
  running.writer = writers[sim_.rng.Below(writers.size())];
  running.stream = compute::FollowerId(sim_.rng.Next());
  running.turn = 0;
  RedoRequest request{.stream = running.stream};
  request.hello = running.replica.Begin(running.is_open ? LowestPoint() : Lsn());
  Ask(std::move(request));
}

void ReaderHost::Ask(RedoRequest request) {
  Running& running = *running_;
  request.turn = ++running.turn;
  for (auto& [lsn, point] : running.points) {
    if (point.told_in == 0) point.told_in = request.turn;
  }
  ComputeHost* writer = world_.computes[running.writer];
  // The writer keeps the question for as long as it has nothing to say.
  const absl::Duration timeout = world_.plan->call_timeout + 2 * world_.plan->followers.heartbeat;
  world_.network->Call<protocol::FollowMessage>(
      process_, writer->process(), timeout,
      [writer, request](Network::Answer<protocol::FollowMessage> answer) {
        writer->ServeRedo(request, std::move(answer));
      },
      [this, turn = running.turn, stream = running.stream,
       asked_at = sim_.loop.now()](absl::StatusOr<protocol::FollowMessage> message) {
        if (running_->stream == stream) Took(turn, asked_at, std::move(message));
      });
}

void ReaderHost::Took(uint64_t turn, Instant asked_at,
                      absl::StatusOr<protocol::FollowMessage> message) {
  Running& running = *running_;
  if (!message.ok()) {
    if (absl::IsFailedPrecondition(message.status())) sim_.Count(Rare::kReaderLeftOldWriter);
    return BeginLater();
  }
  const VolumeEpoch epoch_before = epoch();
  const auto step = running.replica.Take(*std::move(message));
  if (!step.ok()) return BeginLater();
  if (running.is_open && step->is_jump) sim_.Count(Rare::kReaderJumped);
  if (running.is_open && epoch() != epoch_before) sim_.Count(Rare::kReaderChangedWriter);
  // What the question told holds from now on; points told to an earlier stream are told again.
  running.answered_at = asked_at;
  Apply(*step);
  running.published = step->publish;
  running.is_open = true;
  running.cache.Advance(step->publish, LowestPoint());
  sim_.observer->Published(reader_, epoch(), running.published);
  Ask({.stream = running.stream, .progress = {LowestPoint(), running.published}});
}

void ReaderHost::Apply(const Replica::Step& step) {
  if (step.is_jump) running_->cache.Missed(step.published_before, step.jumped_to);
  for (const auto& mtr : step.apply) {
    for (size_t i = 0; i < mtr->changes.size(); ++i) {
      const auto what = running_->cache.Apply(mtr->changes[i], mtr->first_lsn + i, mtr->is_notice);
      if (!what.ok()) {
        return sim_.Violate("I8", "reader ", reader_, ": ", View(what.status().message()));
      }
      if (*what == PageCache::Applied::kApplied) sim_.Count(Rare::kRedoApplied);
      if (*what == PageCache::Applied::kInvalidated) sim_.Count(Rare::kPageInvalidated);
    }
  }
}

// --- reading

struct ReaderHost::Fetch {
  PageNo page;
  Lsn at;
  ReadDone done;
  Instant deadline;
};

// Whether the writer that leads knows of the point, and must keep it: told not long ago, to the
// newest writer that there is.
bool ReaderHost::IsHeld(Lsn read_point) const {
  const auto point = running_->points.find(read_point);
  if (point == running_->points.end() || point->second.told_in == 0) return false;
  if (read_point < floor()) return false;
  const bool is_told = running_->turn > point->second.told_in;
  return is_told && sim_.loop.now() - running_->answered_at < world_.plan->followers.hold / 3;
}

void ReaderHost::Read(PageNo page, Lsn read_point, ReadDone done) {
  if (const compute::PageRef hit = running_->cache.Get(page, read_point)) {
    return EndRead(page, read_point, *hit, done);
  }
  if (read_point < floor()) return done(absl::OutOfRangeError("snapshot too old"));
  Fetch1(std::make_shared<Fetch>(
      Fetch{page, read_point, std::move(done), now() + world_.plan->read_deadline}));
}

void ReaderHost::Fetch1(const std::shared_ptr<Fetch>& fetch) {
  if (now() >= fetch->deadline) {
    return fetch->done(absl::UnavailableError("no complete segment answered"));
  }
  const protocol::VolumeShape& shape = running_->replica.shape();
  const PgId pg = shape.descriptor.geometry.PgOf(fetch->page);
  const auto slots = shape.memberships[pg.value()].ActiveSlots();
  const std::string& name =
      shape.memberships[pg.value()].members[slots[sim_.rng.Below(slots.size())]].node;
  size_t node = 0;
  while (world_.nodes[node]->member().node != name) ++node;
  const protocol::ReadPagesRequest request{
      .segment = {shape.descriptor.volume, pg},
      .epoch = epoch(),
      .read_point = fetch->at,
      .pg_lsn = std::min(running_->replica.tails()[pg.value()], fetch->at),
      .pages = {fetch->page}};
  StorageHost* host = world_.nodes[node];
  world_.network->Call<protocol::ReadPagesReply>(
      process_, host->process(), world_.plan->call_timeout,
      [host, request](Network::Answer<protocol::ReadPagesReply> answer) {
        host->ReadPages(request, std::move(answer));
      },
      [this, fetch, node, request](const auto& reply) {
        PageAnswered(fetch, node, request, reply);
      });
}

void ReaderHost::PageAnswered(const std::shared_ptr<Fetch>& fetch, size_t node,
                              const protocol::ReadPagesRequest& request,
                              const absl::StatusOr<protocol::ReadPagesReply>& reply) {
  if (reply.ok()) {
    const auto used = running_->cache.InsertRead(
        fetch->page, std::make_shared<const page::PageImage>(reply->pages.front()), fetch->at);
    if (!used.ok()) {
      return sim_.Violate("I8", "reader ", reader_, ": ", View(used.status().message()));
    }
    return EndRead(fetch->page, fetch->at, **used, fetch->done);
  }
  if (absl::IsOutOfRange(reply.status()) && IsHeld(fetch->at)) {
    sim_.observer->ReaderRefused(reader_, static_cast<NodeNo>(node), request, reply.status());
  }
  sim_.loop.After(world_.plan->tick, process_, [this, fetch] { Fetch1(fetch); });
}

void ReaderHost::EndRead(PageNo page, Lsn read_point, const absl::StatusOr<page::PageImage>& image,
                         const ReadDone& done) {
  if (image.ok()) {
    if (read_point < running_->published) sim_.Count(Rare::kReaderReadOldPoint);
    sim_.observer->ReaderRead(reader_, epoch(), page, read_point, *image);
  }
  done(image);
}

}  // namespace sextant::simulation
