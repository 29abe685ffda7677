// See reader_volume.h. Following the writer; pages are in reader_volume_pages.cc.
#include "compute-node/reader/reader_volume.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {
namespace {

// Steps in which the grace read points follow the published VDL.
constexpr int kGraceSteps = 4;

constexpr int kCacheShards = 16;

uint64_t RandomSeed() { return std::random_device()(); }

std::vector<StoragePeer*> PeersOf(const std::vector<std::unique_ptr<StoragePeer>>& peers) {
  std::vector<StoragePeer*> plain;
  for (const auto& peer : peers) plain.push_back(peer.get());
  return plain;
}

}  // namespace

ReaderVolume::ReaderVolume(ReaderVolumeOptions options,
                           std::vector<std::unique_ptr<StoragePeer>> peers,
                           std::unique_ptr<RedoSource> source)
    : options_(std::move(options)),
      peers_(std::move(peers)),
      cache_(options_.page_cache_bytes, kCacheShards, options_.remembered_changes),
      fetcher_(PeersOf(peers_), &timers_, options_.fetch, RandomSeed()),
      reads_(&cache_, &fetcher_, this),
      source_(std::move(source)),
      replica_(options_.node, options_.replica),
      commits_(options_.max_waits) {
  SEXTANT_CHECK(options_.storage_nodes.size() == peers_.size());
}

ReaderVolume::~ReaderVolume() { Shutdown(); }

void ReaderVolume::Start(std::function<void()> on_open) {
  on_open_ = std::move(on_open);
  Tick();
}

absl::Status ReaderVolume::CheckOpen() const {
  if (is_open_.load(std::memory_order_acquire)) return absl::OkStatus();
  std::lock_guard lock(mutex_);
  return absl::UnavailableError(Text("this reader has not reached the writer yet: ", detail_));
}

absl::Status ReaderVolume::WaitUntilOpen(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(timeout),
                    [this] { return is_open_ || is_shut_down_; });
  if (is_open_) return absl::OkStatus();
  return absl::DeadlineExceededError(Text("the writer was not reached: ", detail_));
}

void ReaderVolume::Connect() {
  protocol::FollowHello hello;
  {
    std::lock_guard stream_lock(stream_mutex_);
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return;
    hello = replica_.Begin(is_open_ ? LowestPoint() : Lsn());
  }
  source_->Open(std::move(hello),
                {[this](const ComputeNodeName& writer) { Found(writer); },
                 [this](protocol::FollowMessage message) { Took(std::move(message)); },
                 [this](const absl::Status& why) { Ended(why); }});
}

void ReaderVolume::Found(const ComputeNodeName& writer) {
  std::lock_guard lock(mutex_);
  writer_ = writer;
  heard_at_ = rpc::SteadyNow();
}

void ReaderVolume::Took(protocol::FollowMessage message) {
  bool is_first = false;
  absl::Status refused;
  {
    std::lock_guard stream_lock(stream_mutex_);
    const auto step = replica_.Take(std::move(message));
    if (step.ok()) {
      is_first = !is_open_;
      Apply(*step);
      Publish(*step);
    } else {
      refused = step.status();
    }
  }
  if (is_first) {
    spdlog::info("reader is open{}", rpc::Fields("vdl", vdl()));
    if (on_open_) on_open_();
  }
  if (refused.ok()) return;
  spdlog::warn("reader leaves its redo stream and begins another{}", rpc::Fields("error", refused));
  source_->Close();
}

// Pages first, VDL afterwards: nobody reads what lies above the published VDL.
void ReaderVolume::Apply(const Replica::Step& step) {
  uint64_t applied = 0, dropped = 0, invalidated = 0;
  if (step.is_jump) {
    cache_.Missed(step.published_before, step.jumped_to);
    if (is_open_) {
      spdlog::warn("reader jumps{}",
                   rpc::Fields("from", step.published_before, "to", step.jumped_to));
    }
  }
  for (const auto& mtr : step.apply) {
    for (size_t i = 0; i < mtr->changes.size(); ++i) {
      const auto outcome = cache_.Apply(mtr->changes[i], mtr->first_lsn + i, mtr->is_notice);
      if (!outcome.ok()) {
        spdlog::error("redo does not fit a cached page, which is dropped{}",
                      rpc::Fields("error", outcome.status()));
      }
      const auto what = outcome.value_or(PageCache::Applied::kInvalidated);
      applied += what == PageCache::Applied::kApplied;
      dropped += what == PageCache::Applied::kNotCached;
      invalidated += what == PageCache::Applied::kInvalidated;
    }
  }
  std::lock_guard lock(mutex_);
  applied_changes_ += applied;
  dropped_changes_ += dropped;
  invalidated_changes_ += invalidated;
}

void ReaderVolume::Publish(const Replica::Step& step) {
  std::vector<WaitRelease> releases;
  const Instant now = rpc::SteadyNow();
  const int64_t now_us = absl::ToUnixMicros(absl::Now());
  {
    std::lock_guard lock(mutex_);
    if (step.has_new_shape) shape_ = replica_.shape();
    tails_ = replica_.tails();
    floor_ = replica_.floor();
    epoch_ = replica_.epoch();
    counters_ = replica_.counters();
    pending_bytes_ = replica_.pending_bytes();
    heard_at_ = now;
    is_following_ = true;
    published_.store(step.publish.value(), std::memory_order_release);
    cache_.Advance(step.publish, LowestPoint());
    commits_.ReleaseThrough(step.publish, &releases);
    // What was durable before this reader began has no lag.
    auto mtr = step.apply.begin();
    for (const protocol::DurableStep& durable : step.steps) {
      uint64_t commits = step.is_jump && durable.vdl == step.jumped_to ? 1 : 0;
      for (; mtr != step.apply.end() && (*mtr)->commit_lsn <= durable.vdl; ++mtr) ++commits;
      if (!is_open_ || commits == 0) continue;
      last_lag_ = std::max(absl::Microseconds(now_us - durable.time_us), absl::ZeroDuration());
      lags_.Add(last_lag_, commits, now);
      if (options_.on_visible) options_.on_visible(last_lag_, commits);
    }
    is_open_.store(true, std::memory_order_release);
    changed_.notify_all();
  }
  Release(std::move(releases));
}

void ReaderVolume::Ended(const absl::Status& why) {
  std::lock_guard lock(mutex_);
  if (is_following_) spdlog::warn("reader is cut off{}", rpc::Fields("error", why));
  is_following_ = false;
  is_connecting_ = false;
  detail_ = std::string(why.message());
  connect_at_ = rpc::SteadyNow() + options_.reconnect_interval;
}

void ReaderVolume::Tick() {
  std::vector<WaitRelease> releases;
  bool connects = false, gives_up = false;
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return;
    const Instant now = rpc::SteadyNow();
    commits_.Expire(now, &releases);
    if (is_open_) MoveReadPointGrace(now);
    if (is_following_) ReportProgress(now);
    if (!is_connecting_ && now >= connect_at_) {
      connects = is_connecting_ = true;
      heard_at_ = now;
    } else if (is_connecting_ && now - heard_at_ > options_.stream_timeout) {
      gives_up = true;
      heard_at_ = now;
    }
  }
  if (gives_up) source_->Close();
  if (connects) Connect();
  Release(std::move(releases));
  timers_.After(options_.tick, [this] { Tick(); });
}

void ReaderVolume::ReportProgress(Instant now) {
  const protocol::FollowProgress progress{LowestPoint(), vdl()};
  const bool is_news = progress.lowest_read_point != reported_.lowest_read_point ||
                       progress.published != reported_.published;
  const absl::Duration since = now - reported_at_;
  const bool is_due = since >= options_.life_sign_interval;
  if (!is_due && !(is_news && since >= options_.progress_interval)) return;
  reported_ = progress;
  reported_at_ = now;
  source_->Report(progress);
}

void ReaderVolume::MoveReadPointGrace(Instant now) {
  if (now < next_grace_) return;
  next_grace_ = now + options_.read_point_grace / kGraceSteps;
  grace_.push_back(vdl());
  if (grace_.size() > kGraceSteps + 1) grace_.erase(grace_.begin());
}

// Of those that can still be read.
Lsn ReaderVolume::LowestPoint() const {
  Lsn lowest = vdl();
  const auto point = points_.lower_bound(floor_);
  if (point != points_.end()) lowest = std::min(lowest, point->first);
  const auto grace = std::lower_bound(grace_.begin(), grace_.end(), floor_);
  if (grace != grace_.end()) lowest = std::min(lowest, *grace);
  return lowest;
}

void ReaderVolume::Release(std::vector<WaitRelease> releases) {
  for (WaitRelease& release : releases) {
    WaitTable::Wait wait;
    {
      std::lock_guard lock(mutex_);
      wait = waits_.Take(release.wait);
      if (absl::IsDeadlineExceeded(release.status)) {
        release.status = absl::DeadlineExceededError(
            Text("this reader does not show the lsn asked for yet: it is at lsn ", vdl(),
                 is_following_ ? "" : ", cut off from the writer", "; retry, or ask the writer"));
      }
    }
    wait.done(std::move(release.status));
  }
}

void ReaderVolume::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(is_shut_down_, true)) return;
    changed_.notify_all();
  }
  source_->Shutdown();
  for (auto& peer : peers_) peer->Shutdown();
  timers_.Shutdown();
  reads_.Shutdown();
  std::vector<WaitTable::Wait> waits;
  {
    std::lock_guard lock(mutex_);
    waits = waits_.TakeAll();
  }
  for (WaitTable::Wait& wait : waits) {
    wait.done(absl::UnavailableError("this node is shutting down"));
  }
}

ReaderStatus ReaderVolume::status() const {
  ReaderStatus status;
  {
    std::lock_guard stream_lock(stream_mutex_);
    if (!replica_.times().is_empty()) {
      status.oldest = {replica_.times().oldest(), replica_.times().oldest_time_us()};
    }
  }
  std::lock_guard lock(mutex_);
  status.is_open = is_open_;
  status.is_following = is_following_;
  status.writer = writer_;
  if (!is_following_) status.detail = detail_;
  status.volume = shape_.descriptor.volume;
  status.epoch = epoch_;
  status.geometry = shape_.descriptor.geometry;
  status.published = vdl();
  status.floor = floor_;
  status.lowest_read_point = LowestPoint();
  status.pending_bytes = pending_bytes_;
  status.waits = commits_.size();
  status.counters = counters_;
  status.applied_changes = applied_changes_;
  status.dropped_changes = dropped_changes_;
  status.invalidated_changes = invalidated_changes_;
  if (is_following_) status.lag_us = lags_.Sum(rpc::SteadyNow());
  status.last_lag = last_lag_;
  return status;
}

VolumeId ReaderVolume::volume() const {
  std::lock_guard lock(mutex_);
  return shape_.descriptor.volume;
}

VolumeEpoch ReaderVolume::epoch() const {
  std::lock_guard lock(mutex_);
  return epoch_;
}

std::vector<protocol::DurableStep> ReaderVolume::History() const {
  std::lock_guard lock(stream_mutex_);
  return replica_.History();
}

std::optional<ComputeNodeName> ReaderVolume::writer() const {
  std::lock_guard lock(mutex_);
  return writer_;
}

}  // namespace sextant::compute
