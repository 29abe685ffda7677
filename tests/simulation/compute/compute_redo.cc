// The part of ComputeHost (compute_host.h) that gives readers their redo and holds what they read,
// as compute-node/writer/writer_volume_readers.cc does.
#include <algorithm>
#include <utility>

#include "common/protocol/mtr_codec.h"
#include "tests/simulation/compute/compute_host.h"

namespace sextant::simulation {

using compute::FollowerId;
using compute::Followers;
using compute::RedoFeedState;
using protocol::FollowMessage;

void ComputeHost::OpenRedo() {
  const compute::RecoveredVolume& recovered = running_->recovered;
  running_->redo = std::make_unique<Redo>(*world_.plan);
  running_->redo->opening_pgmrpl = recovered.pgmrpl;
  running_->redo->return_by = now() + world_.plan->followers.hold;
  running_->redo->ring.Reset(recovered.vdl);
  running_->redo->times.Begin(recovered.vdl, absl::ToInt64Microseconds(now() - Instant()));
  MoveReadersHold();
}

void ComputeHost::ServeRedo(const RedoRequest& request, RedoAnswer answer) {
  if (!is_open()) return answer(absl::UnavailableError("not the writer"));
  Redo& redo = *running_->redo;
  const auto known = redo.turns.find(request.stream);
  if (request.hello) {
    if (known != redo.turns.end()) return;  // it came twice
    const auto added = redo.followers.Add(request.stream, *request.hello, FeedState(), now());
    if (!added.ok()) return answer(added.status());
    if (*added) redo.waiting.erase(**added);
    HoldFor(request.hello->lowest_read_point);
  } else {
    if (known == redo.turns.end()) return answer(absl::NotFoundError("no such stream"));
    if (request.turn != known->second + 1) return;
    redo.followers.Progressed(request.stream, request.progress, now());
    redo.followers.Sent(request.stream);
    HoldFor(request.progress.lowest_read_point);
  }
  redo.turns[request.stream] = request.turn;
  redo.waiting[request.stream] = std::move(answer);
  FeedReaders();
}

protocol::VolumeShape ComputeHost::Shape() const {
  const compute::Writer& writer = *running_->writer;
  protocol::VolumeShape shape{{running_->recovered.descriptor.volume, writer.geometry()}, {}};
  for (uint32_t pg = 0; pg < writer.geometry().pg_count; ++pg) {
    shape.memberships.push_back(writer.MembershipOf(PgId(pg)));
  }
  return shape;
}

RedoFeedState ComputeHost::FeedState() {
  Redo& redo = *running_->redo;
  std::vector<MembershipEpoch> members;
  for (uint32_t pg = 0; pg < running_->writer->geometry().pg_count; ++pg) {
    members.push_back(running_->writer->MembershipOf(PgId(pg)).epoch);
  }
  if (members != redo.shape_members) {
    redo.shape_members = std::move(members);
    ++redo.shape;
  }
  return {.volume = running_->recovered.descriptor.volume,
          .epoch = epoch(),
          .begin = redo.ring.begin(),
          .vdl = running_->writer->vdl(),
          .head = running_->writer->head(),
          .shape = redo.shape};
}

void ComputeHost::FeedReaders() {
  Redo& redo = *running_->redo;
  const RedoFeedState feed = FeedState();
  for (const FollowerId id : redo.followers.Idle()) {
    const auto waiting = redo.waiting.find(id);
    if (waiting == redo.waiting.end()) continue;
    const auto plan = redo.followers.Next(id, feed, now());
    if (!plan) continue;
    FollowMessage message;
    if (plan->tells_shape) message.shape = Shape();
    if (plan->starts) {
      message.start = {.epoch = feed.epoch, .is_jump = plan->is_jump, .after = plan->after};
    }
    if (plan->is_jump) {
      message.start->tails = *running_->writer->DurableTails();
      message.start->history = redo.times.Newest(8);
    }
    std::vector<std::shared_ptr<const compute::AppendedMtr>> mtrs;
    redo.ring.Read(plan->after, feed.head, world_.plan->redo_message_bytes, &mtrs);
    Lsn through = plan->after;
    std::optional<Lsn> too_large;
    for (const auto& mtr : mtrs) {
      const bool is_notice = mtr->changes.size() >= world_.plan->notice_changes;
      if (is_notice && mtr->changes.size() >= world_.plan->too_large_changes) {
        too_large = mtr->commit_lsn;
        break;
      }
      protocol::EncodeMtr(*mtr, is_notice, &message.mtrs);
      through = mtr->commit_lsn;
    }
    const auto vdl = redo.followers.Send(id, *plan, through, too_large, feed, now());
    message.durable = {.vdl = *vdl,
                       .floor = running_->writer->pgmrpl(),
                       .steps = redo.times.Steps(plan->notified, *vdl)};
    waiting->second(std::move(message));
    redo.waiting.erase(waiting);
  }
}

void ComputeHost::NoteCommitTimes() {
  Redo& redo = *running_->redo;
  while (!redo.undurable.empty() && redo.undurable.front() <= running_->writer->vdl()) {
    redo.times.Committed(redo.undurable.front(), absl::ToInt64Microseconds(now() - Instant()));
    redo.undurable.pop_front();
  }
}

void ComputeHost::MoveReadersHold() {
  Redo& redo = *running_->redo;
  compute::Writer& writer = *running_->writer;
  redo.followers.Expire(now());
  std::optional<Lsn> hold = redo.followers.LowestHold();
  if (now() < redo.return_by) {
    hold = std::min(hold.value_or(redo.opening_pgmrpl), redo.opening_pgmrpl);
  }
  if (hold) hold = std::max(*hold, writer.pgmrpl());
  if (hold == redo.hold) return;
  if (hold) OpenPoint(*hold);
  if (redo.hold) ClosePoint(*redo.hold);
  redo.hold = hold;
}

void ComputeHost::HoldFor(Lsn read_point) {
  const std::optional<Lsn>& hold = running_->redo->hold;
  if (!hold || read_point < *hold) MoveReadersHold();
}

}  // namespace sextant::simulation
