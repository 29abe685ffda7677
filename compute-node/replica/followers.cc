// See followers.h.
#include "compute-node/replica/followers.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {

using protocol::FollowHello;
using protocol::FollowProgress;

absl::StatusOr<std::optional<FollowerId>> Followers::Add(FollowerId id, const FollowHello& hello,
                                                         const RedoFeedState& feed, Instant now) {
  if (hello.epoch > feed.epoch) {
    return absl::FailedPreconditionError(
        Text("reader ", hello.node, " has followed a writer of epoch ", hello.epoch,
             "; this one is of epoch ", feed.epoch, " and has been succeeded"));
  }
  if (hello.volume != VolumeId() && hello.volume != feed.volume) {
    return absl::FailedPreconditionError(
        Text("reader ", hello.node, " reads another volume than this writer's"));
  }
  std::optional<FollowerId> old;
  if (const auto known = readers_.find(hello.node); known != readers_.end()) {
    old = known->second.stream;
  }
  if (!old && streams_.size() >= static_cast<size_t>(options_.max_followers)) {
    return absl::ResourceExhaustedError(
        Text(options_.max_followers, " readers follow this writer already"));
  }
  if (old) streams_.erase(*old);
  Stream& stream = streams_[id];
  stream.node = hello.node;
  stream.cursor = hello.after;
  readers_[hello.node] = {.stream = id,
                          .lowest_read_point = hello.lowest_read_point,
                          .published = hello.after,
                          // One that reads an empty volume holds LSN 0.
                          .is_holding = hello.volume != VolumeId(),
                          .heard_at = now};
  return old;
}

void Followers::Progressed(FollowerId id, const FollowProgress& progress, Instant now) {
  const auto stream = streams_.find(id);
  if (stream == streams_.end()) return;
  Reader& reader = readers_[stream->second.node];
  reader.lowest_read_point = progress.lowest_read_point;
  reader.published = progress.published;
  reader.is_holding = true;
  reader.heard_at = now;
}

void Followers::Sent(FollowerId id) {
  if (const auto stream = streams_.find(id); stream != streams_.end()) {
    stream->second.is_sending = false;
  }
}

void Followers::Remove(FollowerId id) {
  const auto stream = streams_.find(id);
  if (stream == streams_.end()) return;
  Reader& reader = readers_[stream->second.node];
  reader.stream = std::nullopt;
  streams_.erase(stream);
}

bool Followers::MustJump(const Stream& stream, const RedoFeedState& feed) const {
  if (!stream.is_started && stream.cursor == Lsn()) return true;  // it has nothing
  if (stream.cursor < feed.begin || stream.cursor > feed.head) return true;
  return stream.too_large && *stream.too_large <= feed.vdl;
}

std::optional<Followers::Plan> Followers::Next(FollowerId id, const RedoFeedState& feed,
                                               Instant now) {
  SEXTANT_CHECK(feed.begin <= feed.vdl && feed.vdl <= feed.head);
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.is_sending) return std::nullopt;
  const Stream& stream = found->second;
  Plan plan;
  plan.is_jump = MustJump(stream, feed);
  plan.starts = !stream.is_started || plan.is_jump;
  plan.tells_shape = !stream.is_started || stream.shape != feed.shape;
  plan.after = plan.is_jump ? feed.vdl : stream.cursor;
  plan.notified = plan.starts ? plan.after : stream.announced;
  const bool has_redo = plan.after < feed.head && (plan.is_jump || !stream.too_large);
  const bool has_news = std::min(feed.vdl, plan.after) > stream.announced;
  const bool is_due = now - stream.sent_at >= options_.heartbeat;
  if (plan.starts || plan.tells_shape || has_redo || has_news || is_due) return plan;
  return std::nullopt;
}

std::optional<Lsn> Followers::Send(FollowerId id, const Plan& plan, Lsn through,
                                   std::optional<Lsn> too_large, const RedoFeedState& feed,
                                   Instant now) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return std::nullopt;
  Stream& stream = found->second;
  SEXTANT_CHECK(!stream.is_sending && through >= plan.after && through <= feed.head);
  stream.is_started = true;
  stream.is_sending = true;
  stream.cursor = through;
  stream.too_large = too_large;
  stream.shape = feed.shape;
  stream.sent_at = now;
  if (plan.is_jump) ++stream.jumps;
  const Lsn announced = std::min(feed.vdl, through);
  SEXTANT_CHECK(announced >= stream.announced);
  stream.announced = announced;
  return announced;
}

std::vector<FollowerId> Followers::Idle() const {
  std::vector<FollowerId> idle;
  for (const auto& [id, stream] : streams_) {
    if (!stream.is_sending) idle.push_back(id);
  }
  return idle;
}

std::optional<Lsn> Followers::LowestHold() const {
  std::optional<Lsn> lowest;
  for (const auto& [node, reader] : readers_) {
    if (!reader.is_holding) continue;
    lowest = std::min(lowest.value_or(reader.lowest_read_point), reader.lowest_read_point);
  }
  return lowest;
}

std::vector<std::string> Followers::Expire(Instant now) {
  std::vector<std::string> freed;
  for (auto it = readers_.begin(); it != readers_.end();) {
    Reader& reader = it->second;
    const bool is_silent = now - reader.heard_at > options_.hold;
    if (is_silent && reader.is_holding) {
      reader.is_holding = false;
      freed.push_back(it->first);
    }
    it = is_silent && !reader.stream ? readers_.erase(it) : std::next(it);
  }
  return freed;
}

std::vector<FollowerStatus> Followers::Status(Lsn ring_begin, Instant now) const {
  std::vector<FollowerStatus> all;
  for (const auto& [node, reader] : readers_) {
    FollowerStatus status{.node = node,
                          .is_connected = reader.stream.has_value(),
                          .published = reader.published,
                          .lowest_read_point = reader.lowest_read_point,
                          .is_holding = reader.is_holding,
                          .silent_for = now - reader.heard_at};
    if (reader.stream) {
      const Stream& stream = streams_.at(*reader.stream);
      status.is_behind = stream.cursor < ring_begin;
      status.sent = stream.cursor;
      status.announced = stream.announced;
      status.jumps = stream.jumps;
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace sextant::compute
