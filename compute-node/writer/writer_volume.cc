// See writer_volume.h. Life cycle and the machines' duties; nodes are in writer_volume_nodes.cc,
// pages in writer_volume_pages.cc, readers in writer_volume_readers.cc.
#include "compute-node/writer/writer_volume.h"

#include <future>
#include <random>
#include <set>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/failpoint/failpoint.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"
#include "compute-node/writer/effects.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {
namespace {

// Places for --failpoint: crash and delay.
Failpoint writer_open("writer-open");                // recovery is done, nobody was told yet
Failpoint writer_send("writer-send");                // before a batch goes to a member
Failpoint writer_acknowledge("writer-acknowledge");  // a commit is durable, nobody was told yet

// As many as Effects can flush.
constexpr size_t kMaxNodes = 32;

// Steps in which the grace read points follow VDL.
constexpr int kGraceSteps = 4;

// Encoded redo that readers may share, and how often idle ones are looked after.
constexpr uint64_t kEncodedBytes = 4 << 20;
constexpr absl::Duration kFeedIdle = absl::Milliseconds(100);

// How often the log says what an opening waits for.
constexpr absl::Duration kReportInterval = absl::Seconds(5);

uint64_t Random64() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

// Never 0, which means "none".
template <typename Id>
Id RandomId() {
  return Id(Random64() | 1);
}

OpeningOptions MakeOpeningOptions(const WriterVolumeOptions& options,
                                  const volume::Membership& membership) {
  OpeningOptions opening;
  opening.membership = membership;
  for (size_t i = quorum::kMembers; i < options.nodes.size(); ++i) {
    opening.spares.push_back(options.nodes[i].node);
  }
  opening.writer = RandomId<WriterId>();
  opening.recovery = options.recovery;
  if (options.create) {
    opening.fresh = volume::Descriptor{RandomId<VolumeId>(), *options.create};
  }
  return opening;
}

std::vector<StoragePeer*> PeersOf(const std::vector<std::unique_ptr<StoragePeer>>& peers) {
  std::vector<StoragePeer*> plain;
  for (const auto& peer : peers) plain.push_back(peer.get());
  return plain;
}

}  // namespace

const char* PhaseName(VolumePhase phase) {
  switch (phase) {
    case VolumePhase::kWaiting:
      return "waiting";
    case VolumePhase::kCreating:
      return "creating";
    case VolumePhase::kRecovering:
      return "recovering";
    case VolumePhase::kOpen:
      return "open";
    case VolumePhase::kFenced:
      return "fenced";
    case VolumePhase::kFailed:
      return "failed";
    case VolumePhase::kShutDown:
      return "shut down";
  }
  return "unknown";
}

absl::StatusOr<std::unique_ptr<WriterVolume>> WriterVolume::Make(
    WriterVolumeOptions options, std::vector<std::unique_ptr<StoragePeer>> peers) {
  SEXTANT_CHECK(options.nodes.size() == peers.size());
  const size_t six = std::min<size_t>(options.nodes.size(), quorum::kMembers);
  ASSIGN_OR_RETURN(volume::Membership membership,
                   MembershipOf({options.nodes.begin(), options.nodes.begin() + six}));
  std::set<std::string> names;
  for (const volume::Member& node : options.nodes) names.insert(node.node);
  if (names.size() != options.nodes.size() || names.size() > kMaxNodes) {
    return absl::InvalidArgumentError(
        Text("storage nodes and spares must be at most ", kMaxNodes, " and differ in name"));
  }
  return std::unique_ptr<WriterVolume>(
      new WriterVolume(std::move(options), std::move(membership), std::move(peers)));
}

WriterVolume::WriterVolume(WriterVolumeOptions options, volume::Membership membership,
                           std::vector<std::unique_ptr<StoragePeer>> peers)
    : options_(std::move(options)),
      membership_(std::move(membership)),
      started_at_(rpc::SteadyNow()),
      next_report_(started_at_ + kReportInterval),
      cache_(options_.page_cache_bytes),
      fetcher_(PeersOf(peers), &timers_, options_.fetch, Random64()),
      reads_(&cache_, &fetcher_, this),
      opening_(std::make_unique<Opening>(MakeOpeningOptions(options_, membership_))),
      ring_(options_.redo_ring_bytes),
      feed_(options_.feed_interval),
      encoder_(kEncodedBytes),
      followers_(options_.followers) {
  for (size_t i = 0; i < peers.size(); ++i) {
    nodes_.push_back(std::make_unique<Node>(options_.nodes[i], std::move(peers[i])));
  }
}

WriterVolume::~WriterVolume() { Shutdown(); }

void WriterVolume::Start(std::function<void(VolumePhase)> on_phase) {
  on_phase_ = std::move(on_phase);
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const NodeIndex node(i);
    nodes_[i]->peer->OpenStream(
        {[this, node] { NodeUp(node); },
         [this, node](const protocol::AppendAck& ack) { NodeAcked(node, ack); },
         [this, node](const absl::Status& why) { NodeDown(node, why); },
         [this, node](const protocol::EpochAnswer& answer) { NodeAnswered(node, answer); }});
  }
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    opening_->Start(rpc::SteadyNow());
    Settle(&effects);
  }
  effects.Run();
  feed_.Start(kFeedIdle, [this] { return FeedReaders(); });
  Tick();
}

void WriterVolume::Tick() {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return;
    const Instant now = rpc::SteadyNow();
    if (writer_) {
      writer_->Tick(now);
      MoveReadPointGrace();
      ReleaseGrown(&effects);
    } else {
      opening_->Tick(now);
      if (opening_->phase() != Opening::Phase::kFailed && now >= next_report_) {
        next_report_ = now + kReportInterval;
        spdlog::info("opening the volume{}", rpc::Fields("waiting", opening_->Describe()));
      }
    }
    Settle(&effects);
  }
  effects.Run();
  timers_.After(options_.tick, [this] { Tick(); });
}

void WriterVolume::MoveReadPointGrace() {
  const Instant now = rpc::SteadyNow();
  if (now < next_grace_) return;
  next_grace_ = now + options_.read_point_grace / kGraceSteps;
  MoveReadersHold(now);
  grace_.push_back(writer_->vdl());
  writer_->OpenReadPoint(grace_.back());
  if (grace_.size() <= kGraceSteps + 1) return;
  writer_->CloseReadPoint(grace_.front());
  grace_.erase(grace_.begin());
}

void WriterVolume::Settle(Effects* effects) {
  if (!writer_) FollowOpening(effects);
  if (!writer_) return;
  FollowGrowth(effects);
  WriterOutput output = writer_->TakeOutput();
  for (WriterOutput::Send& send : output.sends) {
    (void)writer_send.Hit();
    const std::optional<NodeIndex> node = NodeOf(send.member);
    if (!node) continue;  // it ceased to count in this very step
    nodes_[node->value()]->outbox.Enqueue(std::move(send.batch));
    effects->Flush(*node);
  }
  for (const WriterOutput::Probe& probe : output.probes) {
    if (const auto node = NodeOf(probe.member)) effects->Probe(*node, probe.probe);
  }
  for (WriterOutput::RaiseEpoch& raise : output.raise_epochs) effects->Raise(std::move(raise));
  for (WriterOutput::CreateSegment& create : output.creates) effects->Create(std::move(create));
  for (WriterOutput::DropSegment& drop : output.drops) effects->Drop(std::move(drop));
  for (WriterOutput::Release& release : output.releases) {
    (void)writer_acknowledge.Hit();
    effects->Release(waits_.Take(release.wait), std::move(release.status));
  }
  NoteCommitTimes();
  vdl_.store(writer_->vdl().value(), std::memory_order_release);
  if (has_readers_.load(std::memory_order_relaxed)) effects->WakeFeed();
  cache_.Advance(writer_->vdl(), LowestPoint());
  if (writer_->is_fenced() && phase_ == VolumePhase::kOpen) {
    error_ = absl::FailedPreconditionError(Text(
        "fenced: another writer has opened volume ", FormatVolumeId(recovered_->descriptor.volume),
        " after epoch ", recovered_->epoch.value(), "; this node is no longer the writer"));
    SetPhase(VolumePhase::kFenced, effects);
  }
}

void WriterVolume::FollowOpening(Effects* effects) {
  for (Opening::Duty& duty : opening_->TakeDuties()) effects->Perform(std::move(duty));
  switch (opening_->phase()) {
    case Opening::Phase::kWaiting:
      return SetPhase(VolumePhase::kWaiting, effects);
    case Opening::Phase::kCreating:
      return SetPhase(VolumePhase::kCreating, effects);
    case Opening::Phase::kRecovering:
      return SetPhase(VolumePhase::kRecovering, effects);
    case Opening::Phase::kFailed:
      error_ = opening_->error();
      return SetPhase(VolumePhase::kFailed, effects);
    case Opening::Phase::kOpen:
      (void)writer_open.Hit();
      error_ = BecomeOpen(opening_->result());
      if (!error_.ok()) return SetPhase(VolumePhase::kFailed, effects);
      for (uint32_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i]->is_up) effects->AskForMembers(NodeIndex(i), nodes_[i]->connection);
      }
      return SetPhase(VolumePhase::kOpen, effects);
  }
}

absl::Status WriterVolume::BecomeOpen(const RecoveredVolume& recovered) {
  recovered_ = recovered;
  opened_at_ = rpc::SteadyNow();
  for (const volume::Membership& membership : recovered.memberships) {
    for (const quorum::Slot slot : membership.ActiveSlots()) {
      const std::string& node = membership.members[slot].node;
      if (NodeNamed(node)) continue;
      return absl::FailedPreconditionError(
          Text("the volume has a segment on storage node ", node,
               ", which neither --storage-node nor --spare-node names"));
    }
  }
  writer_ = std::make_unique<Writer>(recovered, options_.writer);
  pg_count_.store(writer_->geometry().pg_count, std::memory_order_release);
  opening_pgmrpl_ = recovered.pgmrpl;
  // Nobody has read of a volume that was never written.
  const bool has_been_read = recovered.vdl > Lsn();
  readers_return_by_ = has_been_read ? opened_at_ + options_.followers.hold : opened_at_;
  cache_.Begin(recovered.vdl);
  ring_.Reset(recovered.vdl);
  times_.Resume(options_.history, recovered.vdl, absl::ToUnixMicros(absl::Now()));
  MoveReadPointGrace();
  writer_->Tick(opened_at_);
  head_.store(writer_->head().value(), std::memory_order_release);
  spdlog::info("volume is open{}",
               rpc::Fields("volume", FormatVolumeId(recovered.descriptor.volume), "epoch",
                           recovered.epoch, "vdl", recovered.vdl, "next_lsn", recovered.next_lsn,
                           "seconds", absl::ToDoubleSeconds(opened_at_ - started_at_)));
  return absl::OkStatus();
}

void WriterVolume::SetPhase(VolumePhase phase, Effects* effects) {
  if (phase_.exchange(phase, std::memory_order_acq_rel) != phase) effects->Announce(phase);
}

absl::Status WriterVolume::CheckOpen() const {
  const VolumePhase phase = phase_.load(std::memory_order_acquire);
  if (phase == VolumePhase::kOpen) return absl::OkStatus();
  std::lock_guard lock(mutex_);
  if (!error_.ok()) return error_;
  return absl::UnavailableError(WhyNotOpen());
}

std::string WriterVolume::WhyNotOpen() const {
  if (is_shut_down_) return "this node is shutting down";
  return Text("the volume is not open yet: ", opening_->Describe());
}

absl::Status WriterVolume::WaitUntilOpen(absl::Duration timeout) {
  const Instant deadline = rpc::SteadyNow() + timeout;
  while (true) {
    const absl::Status status = CheckOpen();
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    if (rpc::SteadyNow() >= deadline) return absl::DeadlineExceededError(status.message());
    std::promise<void> later;
    timers_.After(absl::Milliseconds(5), [&later] { later.set_value(); });
    later.get_future().get();
  }
}

absl::Status WriterVolume::Drain(absl::Duration timeout) {
  if (phase_ != VolumePhase::kOpen) return absl::OkStatus();
  auto done = std::make_shared<std::promise<absl::Status>>();
  auto future = done->get_future();
  WhenDurable(head(), timeout, [done](absl::Status status) { done->set_value(std::move(status)); });
  return future.get();
}

void WriterVolume::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(is_shut_down_, true)) return;
    phase_.store(VolumePhase::kShutDown, std::memory_order_release);
  }
  feed_.Stop();
  EndReaders(absl::UnavailableError("this node is shutting down"));
  for (auto& node : nodes_) node->peer->Shutdown();
  timers_.Shutdown();
  reads_.Shutdown();
  std::vector<WaitTable::Wait> waits;
  std::vector<GrowthWaits::Wait> growth_waits;
  {
    std::lock_guard lock(mutex_);
    waits = waits_.TakeAll();
    growth_waits = growth_waits_.Take([](const GrowthWaits::Wait&) { return true; });
  }
  for (GrowthWaits::Wait& wait : growth_waits) {
    wait.done(absl::UnavailableError("this node is shutting down"));
  }
  for (WaitTable::Wait& wait : waits) {
    wait.done(absl::UnavailableError(
        wait.is_commit
            ? "outcome unknown: this node is shutting down before the commit was acknowledged"
            : "this node is shutting down"));
  }
}

VolumeStatus WriterVolume::status() const {
  std::lock_guard lock(mutex_);
  VolumeStatus status;
  status.phase = phase_;
  status.error = error_;
  status.volume = opening_->volume();
  status.detail = error_.ok() ? opening_->Describe() : std::string(error_.message());
  if (is_shut_down_) status.detail = "shutting down";
  if (!writer_) {
    status.opening_time = rpc::SteadyNow() - started_at_;
    return status;
  }
  status.opening_time = opened_at_ - started_at_;
  status.geometry = writer_->geometry();
  status.progress = writer_->Progress();
  for (const PgProgress& pg : status.progress.pgs) status.memberships.push_back(pg.membership);
  if (error_.ok() && !is_shut_down_ && !status.progress.growth.empty()) {
    status.detail = status.progress.growth;
  }
  status.counters = writer_->counters();
  status.readers = followers_.Status(ring_.begin(), rpc::SteadyNow());
  status.oldest = {times_.oldest(), times_.oldest_time_us()};
  return status;
}

VolumeEpoch WriterVolume::epoch() const {
  std::lock_guard lock(mutex_);
  return recovered_ ? recovered_->epoch : VolumeEpoch();
}

VolumeId WriterVolume::volume() const {
  std::lock_guard lock(mutex_);
  return opening_->volume();
}

volume::Geometry WriterVolume::geometry() const {
  std::lock_guard lock(mutex_);
  if (!writer_) return volume::Geometry{.pg_count = 0};
  return writer_->geometry();
}

}  // namespace sextant::compute
