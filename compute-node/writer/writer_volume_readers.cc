// WriterVolume and its readers: the redo stream that they follow, and what their reads hold.
#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"
#include "compute-node/writer/writer_volume.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {
namespace {

// Of one message, about; a larger mini-transaction travels alone.
constexpr uint64_t kMessageBytes = 256 * 1024;
// That a reader is told when it jumps: for time travel.
constexpr size_t kHistoryCommits = 65536;

}  // namespace

// One reader's next message in the making.
struct WriterVolume::Outgoing {
  FollowerId id;
  std::shared_ptr<RedoFollower> follower;
  Followers::Plan plan;
  RedoFeedState feed;
  std::vector<std::shared_ptr<const AppendedMtr>> mtrs;
  Lsn through;
  std::optional<Lsn> too_large;
  protocol::FollowMessage message;
  bool is_gone = false;
};

absl::StatusOr<FollowerId> WriterVolume::Follow(const protocol::FollowHello& hello,
                                                std::shared_ptr<RedoFollower> follower) {
  RETURN_IF_ERROR(CheckOpen());
  FollowerId id;
  {
    std::lock_guard lock(mutex_);
    id = FollowerId(next_follower_++);
    if (is_shut_down_) return absl::UnavailableError("this node is shutting down");
    ASSIGN_OR_RETURN(const std::optional<FollowerId> replaced,
                     followers_.Add(id, hello, FeedState(), rpc::SteadyNow()));
    HoldFor(hello.lowest_read_point);
    if (replaced) {
      if (const auto old = readers_.find(*replaced); old != readers_.end()) {
        endings_.push_back({std::move(old->second),
                            absl::AbortedError("the reader has opened another redo stream")});
        readers_.erase(old);
      }
    }
    readers_[id] = std::move(follower);
    has_readers_ = true;
  }
  spdlog::info("reader follows{}", rpc::Fields("reader", hello.node, "after", hello.after));
  feed_.Wake();
  return id;
}

void WriterVolume::FollowerProgressed(FollowerId id, const protocol::FollowProgress& progress) {
  std::lock_guard lock(mutex_);
  followers_.Progressed(id, progress, rpc::SteadyNow());
  HoldFor(progress.lowest_read_point);
}

void WriterVolume::FollowerSent(FollowerId id) {
  {
    std::lock_guard lock(mutex_);
    followers_.Sent(id);
  }
  feed_.Wake();
}

void WriterVolume::StopFollowing(FollowerId id) {
  std::lock_guard lock(mutex_);
  followers_.Remove(id);
  readers_.erase(id);
  has_readers_ = !readers_.empty();
}

void WriterVolume::EndReaders(const absl::Status& why) {
  std::vector<Ending> endings;
  {
    std::lock_guard lock(mutex_);
    endings.swap(endings_);
    for (auto& [id, follower] : readers_) {
      followers_.Remove(id);
      endings.push_back({std::move(follower), why});
    }
    readers_.clear();
    has_readers_ = false;
  }
  for (Ending& ending : endings) ending.follower->End(std::move(ending.why));
}

RedoFeedState WriterVolume::FeedState() {
  std::vector<MembershipEpoch> members;
  for (uint32_t pg = 0; pg < writer_->geometry().pg_count; ++pg) {
    members.push_back(writer_->MembershipOf(PgId(pg)).epoch);
  }
  if (members != shape_members_) {
    shape_members_ = std::move(members);
    ++shape_version_;
  }
  return {.volume = recovered_->descriptor.volume,
          .epoch = recovered_->epoch,
          .begin = ring_.begin(),
          .vdl = writer_->vdl(),
          .head = writer_->head(),
          .shape = shape_version_};
}

// On the feed's thread, as all that follows: one caller for every follower.
bool WriterVolume::FeedReaders() {
  if (phase_ == VolumePhase::kFenced) EndReaders(CheckOpen());
  std::vector<Outgoing> all = PlanFeed();
  for (Outgoing& out : all) Encode(&out);
  FinishFeed(&all);
  for (Outgoing& out : all) {
    if (!out.is_gone) out.follower->Send(std::move(out.message));
  }
  return !all.empty();
}

std::vector<WriterVolume::Outgoing> WriterVolume::PlanFeed() {
  std::vector<Outgoing> all;
  std::vector<Ending> endings;
  {
    std::lock_guard lock(mutex_);
    endings.swap(endings_);
    if (!is_shut_down_ && !readers_.empty()) {
      const Instant now = rpc::SteadyNow();
      const RedoFeedState feed = FeedState();
      for (const FollowerId id : followers_.Idle()) {
        const auto plan = followers_.Next(id, feed, now);
        if (!plan) continue;
        Outgoing& out = all.emplace_back(Outgoing{id, readers_.at(id), *plan, feed});
        ring_.Read(plan->after, feed.head, kMessageBytes, &out.mtrs);
        if (!plan->tells_shape) continue;
        protocol::VolumeShape& shape = out.message.shape.emplace();
        shape.descriptor = {feed.volume, writer_->geometry()};
        for (uint32_t pg = 0; pg < writer_->geometry().pg_count; ++pg) {
          shape.memberships.push_back(writer_->MembershipOf(PgId(pg)));
        }
      }
      for (Outgoing& out : all) {
        if (!out.plan.starts) continue;
        out.message.start = {
            .epoch = feed.epoch, .is_jump = out.plan.is_jump, .after = out.plan.after};
        if (!out.plan.is_jump) continue;
        out.message.start->tails = *writer_->DurableTails();
        out.message.start->history = times_.Newest(kHistoryCommits);
      }
    }
  }
  for (Ending& ending : endings) ending.follower->End(std::move(ending.why));
  return all;
}

void WriterVolume::Encode(Outgoing* out) {
  out->through = out->plan.after;
  for (const auto& mtr : out->mtrs) {
    const std::string* bytes = encoder_.Encode(*mtr);
    if (bytes == nullptr) {
      out->too_large = mtr->commit_lsn;
      return;
    }
    if (!out->message.mtrs.empty() && out->message.mtrs.size() + bytes->size() > kMessageBytes) {
      return;
    }
    out->message.mtrs += *bytes;
    out->through = mtr->commit_lsn;
  }
}

void WriterVolume::FinishFeed(std::vector<Outgoing>* all) {
  if (all->empty()) return;
  std::lock_guard lock(mutex_);
  const Instant now = rpc::SteadyNow();
  for (Outgoing& out : *all) {
    const std::optional<Lsn> vdl =
        followers_.Send(out.id, out.plan, out.through, out.too_large, out.feed, now);
    out.is_gone = !vdl;
    if (!vdl) continue;
    out.message.durable = {
        .vdl = *vdl, .floor = writer_->pgmrpl(), .steps = times_.Steps(out.plan.notified, *vdl)};
  }
}

void WriterVolume::NoteCommitTimes() {
  if (undurable_.empty() || undurable_.front() > writer_->vdl()) return;
  const int64_t now_us = absl::ToUnixMicros(absl::Now());
  while (!undurable_.empty() && undurable_.front() <= writer_->vdl()) {
    times_.Committed(undurable_.front(), now_us);
    undurable_.pop_front();
  }
}

// What readers hold, what time travel may reach, and after an opening what readers held before it:
// one read point for all. A hold below PGMRPL comes too late.
void WriterVolume::MoveReadersHold(Instant now) {
  for (const std::string& reader : followers_.Expire(now)) {
    spdlog::warn("reader is silent, what it reads is held for it no longer{}",
                 rpc::Fields("reader", reader));
  }
  std::optional<Lsn> hold = followers_.LowestHold();
  const auto add = [&hold](Lsn lsn) { hold = std::min(hold.value_or(lsn), lsn); };
  if (now < readers_return_by_) add(opening_pgmrpl_);
  if (options_.retain > absl::ZeroDuration()) {
    add(times_.AtTime(absl::ToUnixMicros(absl::Now() - options_.retain)).value_or(times_.oldest()));
  }
  if (hold) hold = std::max(*hold, writer_->pgmrpl());
  times_.Forget(writer_->pgmrpl());
  if (hold == readers_hold_) return;
  if (hold) writer_->OpenReadPoint(*hold);
  if (readers_hold_) writer_->CloseReadPoint(*readers_hold_);
  readers_hold_ = hold;
}

// What a reader told is held before it is answered: PGMRPL may rise with the next acknowledgement.
void WriterVolume::HoldFor(Lsn read_point) {
  if (!readers_hold_ || read_point < *readers_hold_) MoveReadersHold(rpc::SteadyNow());
}

absl::StatusOr<Lsn> WriterVolume::AsOfLsn(Lsn lsn) const {
  RETURN_IF_ERROR(CheckOpen());
  std::lock_guard lock(mutex_);
  return times_.AtLsn(lsn);
}

absl::StatusOr<Lsn> WriterVolume::AsOfTime(absl::Time time) const {
  RETURN_IF_ERROR(CheckOpen());
  std::lock_guard lock(mutex_);
  return times_.AtTime(absl::ToUnixMicros(time));
}

}  // namespace sextant::compute
