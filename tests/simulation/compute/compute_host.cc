// See compute_host.h. Life, opening and the machines' duties.
#include "tests/simulation/compute/compute_host.h"

#include <utility>
#include <variant>

#include "common/base/check.h"

namespace sextant::simulation {

using compute::Opening;
using compute::Recovery;
using compute::Writer;
using compute::WriterOutput;

ComputeHost::ComputeHost(World world, ComputeNo compute)
    : sim_(*world.sim),
      world_(std::move(world)),
      compute_(compute),
      process_(sim_.loop.AddProcess(absl::Seconds(static_cast<int64_t>(sim_.rng.Below(1000))),
                                    0.99 + static_cast<double>(sim_.rng.Below(20)) / 1000)) {}

void ComputeHost::Start() {
  SEXTANT_CHECK(!is_up());
  sim_.loop.Start(process_);
  running_ = std::make_unique<Running>();
  compute::OpeningOptions options;
  options.membership = world_.membership;
  for (size_t node = quorum::kMembers; node < world_.nodes.size(); ++node) {
    options.spares.push_back(NameOf(node));
  }
  options.fresh = world_.fresh;
  options.writer = WriterId(sim_.rng.Next() | 1);
  options.retry_interval = world_.plan->opening_retry;
  options.recovery = world_.plan->recovery;
  running_->opening = std::make_unique<Opening>(options);
  running_->connections.resize(world_.nodes.size());
  for (size_t node = 0; node < world_.nodes.size(); ++node) Connect(node);
  running_->opening->Start(now());
  Settle();
  Tick();
}

void ComputeHost::Kill() {
  SEXTANT_CHECK(is_up());
  sim_.Tell("writer ", compute_, " dies, ", Describe());
  if (running_->writer) {
    for (const auto& [token, wait] : running_->waits) {
      if (wait.commit) sim_.observer->CommitUnknown(compute_, epoch(), *wait.commit);
    }
  }
  CountInterrupted();
  kill_in_.reset();
  sim_.loop.Kill(process_);
  running_.reset();
  world_.streams->ProcessDied(process_);
}

// What a death leaves half done.
void ComputeHost::CountInterrupted() {
  if (!is_open()) return;
  const compute::WriterProgress progress = running_->writer->Progress();
  if (progress.growth.starts_with("adding")) sim_.Count(Rare::kWriterDiedGrowing);
  for (const compute::PgProgress& pg : progress.pgs) {
    if (pg.membership.changes.empty() && pg.is_in_effect) continue;
    sim_.Count(Rare::kWriterDiedInChange);
    break;
  }
}

bool ComputeHost::is_over() const {
  if (!is_up()) return false;
  if (running_->writer) return running_->writer->is_fenced();
  return running_->opening->phase() == Opening::Phase::kFailed;
}

std::string ComputeHost::Describe() const {
  if (!is_up()) return "down";
  if (!running_->writer) return running_->opening->Describe();
  return Text(running_->writer->is_fenced() ? "fenced" : "open", " at epoch ", epoch(), ", VDL ",
              running_->writer->vdl(), ", head ", running_->writer->head());
}

void ComputeHost::Tick() {
  if (running_->writer) {
    MoveReadersHold();
    running_->writer->Tick(now());
  } else {
    running_->opening->Tick(now());
  }
  Settle();
  sim_.loop.After(world_.plan->tick, process_, [this] { Tick(); });
}

void ComputeHost::Settle() {
  if (!running_->writer) FollowOpening();
  if (!running_->writer) return;
  Writer& writer = *running_->writer;
  FollowGrowth();
  WriterOutput output = writer.TakeOutput();
  for (const WriterOutput::Send& send : output.sends) {
    const std::optional<size_t> node = NodeOf(send.member);
    if (!node) continue;  // it ceased to count in this very step
    const Connection& to = running_->connections[*node];
    sim_.observer->BatchSent(compute_, send.batch, LowestPoint());
    if (to.is_up) world_.streams->Send(to.stream, send.batch.bytes);
  }
  for (const WriterOutput::Probe& probe : output.probes) {
    const std::optional<size_t> node = NodeOf(probe.member);
    if (!node) continue;
    const Connection& to = running_->connections[*node];
    if (to.is_up) world_.streams->Send(to.stream, probe.probe);
  }
  sim_.observer->VdlMoved(compute_, epoch(), writer.vdl());
  for (const WriterOutput::Release& release : output.releases) {
    auto wait = running_->waits.extract(release.wait);
    SEXTANT_CHECK(!wait.empty());
    const auto& [commit, done] = wait.mapped();
    if (commit && release.status.ok()) sim_.observer->CommitAcked(compute_, epoch(), *commit);
    if (commit && !release.status.ok()) sim_.observer->CommitUnknown(compute_, epoch(), *commit);
    done(release.status);
  }
  CountBehind();
  NoteCommitTimes();
  running_->cache->Advance(writer.vdl(), LowestPoint());
  if (!writer.is_fenced()) FeedReaders();
  sim_.observer->WriterStepped(compute_, writer);
  for (const WriterOutput::RaiseEpoch& raise : output.raise_epochs) PerformRaise(raise);
  for (const WriterOutput::CreateSegment& create : output.creates) PerformCreate(create);
  for (const WriterOutput::DropSegment& drop : output.drops) PerformDrop(drop);
}

// Once in a writer's life.
void ComputeHost::CountBehind() {
  if (running_->was_behind) return;
  const Writer& writer = *running_->writer;
  for (PgId pg(0); pg.value() < writer.memberships().size(); pg = pg.Next()) {
    for (const quorum::Slot slot : writer.MembershipOf(pg).ActiveSlots()) {
      if (writer.Member({pg, slot}).state != compute::MemberState::kBehind) continue;
      running_->was_behind = true;
      return sim_.Count(Rare::kMemberBehind);
    }
  }
}

void ComputeHost::FollowOpening() {
  FollowRecovery();
  for (Opening::Duty& duty : running_->opening->TakeDuties()) Perform(std::move(duty));
  if (running_->opening->phase() == Opening::Phase::kOpen && !running_->writer) BecomeOpen();
  if (running_->opening->phase() == Opening::Phase::kFailed &&
      !std::exchange(running_->has_failed, true)) {
    sim_.observer->OpeningFailed(compute_, running_->opening->error());
  }
}

// Tells of phases, and dies where it was told to.
void ComputeHost::FollowRecovery() {
  const Recovery* recovery = running_->opening->recovery();
  if (recovery == nullptr) return;
  const Recovery::Phase phase = recovery->phase();
  if (phase != running_->phase) {
    sim_.Tell("writer ", compute_, ": ", recovery->Describe());
    sim_.observer->RecoveryMoved(compute_, running_->claimed, running_->phase, phase);
    running_->phase = phase;
  }
  if (!kill_in_.has_value() || kill_in_->first != phase || --kill_in_->second > 0) return;
  kill_in_.reset();
  sim_.Count(Fault::kWriterKilledInRecovery);
  sim_.Count(
      static_cast<Rare>(static_cast<int>(Rare::kKilledInDiscovery) + static_cast<int>(phase)));
  sim_.loop.After(absl::ZeroDuration(), kWorld, [this, life = sim_.loop.life(process_)] {
    if (sim_.loop.life(process_) == life) Kill();
  });
}

void ComputeHost::BecomeOpen() {
  running_->recovered = running_->opening->result();
  const compute::RecoveredVolume& recovered = running_->recovered;
  sim_.observer->Opened(compute_, recovered);
  running_->writer = std::make_unique<Writer>(recovered, world_.plan->writer);
  // One shard: which pages share one must not depend on where memory lies.
  running_->cache = std::make_unique<compute::PageCache>(world_.plan->cache_bytes, /*shards=*/1);
  running_->cache->Begin(recovered.vdl);
  OpenRedo();
  running_->pg_count = running_->writer->geometry().pg_count;
  running_->writer->Tick(now());
  for (size_t node = 0; node < running_->connections.size(); ++node) {
    if (running_->connections[node].is_up) AskForMembers(node);
  }
}

// The writer takes a new group's members for reachable; it is told of each that is not.
void ComputeHost::FollowGrowth() {
  Writer& writer = *running_->writer;
  const uint32_t pg_count = writer.geometry().pg_count;
  for (PgId pg(running_->pg_count); pg.value() < pg_count; pg = pg.Next()) {
    sim_.Tell("writer ", compute_, " has added pg ", pg);
    sim_.Count(Rare::kVolumeGrew);
    for (const quorum::Slot slot : writer.MembershipOf(pg).ActiveSlots()) {
      const std::optional<size_t> node = NodeOf({pg, slot});
      if (!node || !running_->connections[*node].is_up) writer.MemberDown({pg, slot});
    }
  }
  running_->pg_count = pg_count;
}

Writer::Appended ComputeHost::Append(const std::vector<page::PageChange>& changes,
                                     const std::vector<std::string>& images) {
  const Lsn prev_lsn = running_->writer->head();
  const Writer::Appended appended = running_->writer->Append(changes);
  sim_.observer->Appended(compute_, epoch(), appended, changes, images);
  for (size_t i = 0; i < changes.size(); ++i) {
    auto image = std::make_shared<page::PageImage>();
    image->lsn = appended.first_lsn + i;
    image->bytes = images[i];
    running_->cache->Publish(changes[i].page, std::move(image));
  }
  running_->redo->ring.Push({prev_lsn, appended.first_lsn, appended.commit_lsn, changes},
                            running_->writer->vdl());
  running_->redo->undurable.push_back(appended.commit_lsn);
  Settle();
  return appended;
}

void ComputeHost::WhenDurable(Lsn lsn, absl::Duration timeout, DurableDone done) {
  running_->writer->WaitDurable(lsn, Park(lsn, std::move(done)), now() + timeout);
  Settle();
}

void ComputeHost::OpenPoint(Lsn lsn) {
  ++running_->points[lsn];
  running_->writer->OpenReadPoint(lsn);
}

void ComputeHost::ClosePoint(Lsn lsn) {
  const auto point = running_->points.find(lsn);
  SEXTANT_CHECK(point != running_->points.end());
  if (--point->second == 0) running_->points.erase(point);
  running_->writer->CloseReadPoint(lsn);
}

Lsn ComputeHost::LowestPoint() const {
  const Lsn vdl = running_->writer->vdl();
  return running_->points.empty() ? vdl : std::min(running_->points.begin()->first, vdl);
}

}  // namespace sextant::simulation
