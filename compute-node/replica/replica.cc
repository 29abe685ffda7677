// See replica.h.
#include "compute-node/replica/replica.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/protocol/mtr_codec.h"

namespace sextant::compute {
namespace {

using protocol::FollowDurable;
using protocol::FollowHello;
using protocol::FollowMessage;
using protocol::FollowStart;
using protocol::RedoMtr;
using protocol::VolumeShape;

uint64_t CostOf(const RedoMtr& mtr) {
  uint64_t bytes = sizeof(RedoMtr);
  for (const page::PageChange& change : mtr.changes) {
    bytes += sizeof(page::PageChange) + change.payload.size();
  }
  return bytes;
}

}  // namespace

FollowHello Replica::Begin(Lsn lowest_read_point) {
  ++counters_.streams;
  is_started_ = false;
  pending_.clear();
  pending_bytes_ = 0;
  FollowHello hello{.node = node_, .lowest_read_point = lowest_read_point};
  if (!is_open()) return hello;
  hello.volume = shape_.descriptor.volume;
  hello.epoch = epoch_;
  hello.after = wants_jump_ ? Lsn() : published();
  return hello;
}

absl::StatusOr<Replica::Step> Replica::Take(FollowMessage message) {
  absl::StatusOr<Mtrs> mtrs = Check(message);
  if (!mtrs.ok()) {
    wants_jump_ |= !absl::IsFailedPrecondition(mtrs.status());
    return mtrs.status();
  }
  Step step;
  step.published_before = published();
  if (message.shape) {
    shape_ = *std::move(message.shape);
    tails_.resize(shape_.memberships.size());
    step.has_new_shape = true;
  }
  if (message.start) TakeStart(*message.start, &step);
  for (auto& mtr : *mtrs) {
    received_ = mtr->commit_lsn;
    pending_bytes_ += CostOf(*mtr);
    pending_.push_back(std::move(mtr));
  }
  if (message.durable) TakeDurable(*message.durable, &step);
  step.publish = published();
  return step;
}

std::vector<protocol::DurableStep> Replica::History() const {
  std::vector<protocol::DurableStep> history = times_.Newest(times_.size());
  for (const auto& mtr : pending_) history.push_back({mtr->commit_lsn, INT64_MAX});
  return history;
}

absl::StatusOr<Replica::Mtrs> Replica::Check(const FollowMessage& message) const {
  if (message.start) RETURN_IF_ERROR(CheckStart(*message.start));
  if (message.shape) RETURN_IF_ERROR(CheckShape(*message.shape));
  const VolumeShape& shape = message.shape ? *message.shape : shape_;
  if (!is_started_ && !message.start) {
    return absl::InvalidArgumentError("the redo stream does not say where it begins");
  }
  if (shape.memberships.empty()) {
    return absl::InvalidArgumentError("the redo stream does not say where segments are");
  }
  if (message.start && message.start->is_jump &&
      message.start->tails.size() != shape.memberships.size()) {
    return absl::InvalidArgumentError("the redo stream begins without the groups' last LSNs");
  }
  Lsn received = message.start ? message.start->after : received_;
  uint64_t pending_bytes = message.start ? 0 : pending_bytes_;
  Mtrs mtrs;
  for (std::string_view in = message.mtrs; !in.empty();) {
    ASSIGN_OR_RETURN(RedoMtr mtr, protocol::DecodeMtr(&in));
    if (mtr.prev_lsn != received) {
      return absl::DataLossError(Text("the redo stream has a gap: lsn ", mtr.first_lsn,
                                      " follows lsn ", mtr.prev_lsn, ", lsn ", received,
                                      " was the last"));
    }
    for (const page::PageChange& change : mtr.changes) {
      if (shape.descriptor.geometry.Contains(change.page)) continue;
      return absl::DataLossError(
          Text("the redo stream changes page ", change.page, " beyond the volume's end"));
    }
    received = mtr.commit_lsn;
    pending_bytes += CostOf(mtr);
    mtrs.push_back(std::make_shared<const RedoMtr>(std::move(mtr)));
  }
  if (pending_bytes > options_.max_pending_bytes) {
    return absl::ResourceExhaustedError(
        Text(pending_bytes, " bytes of redo wait for their VDL, at most ",
             options_.max_pending_bytes, " may: this reader jumps"));
  }
  if (message.durable) {
    const Lsn published = message.start ? message.start->after : published_.Get();
    RETURN_IF_ERROR(CheckDurable(*message.durable, message.start.has_value(), published, mtrs));
  }
  return mtrs;
}

absl::Status Replica::CheckStart(const FollowStart& start) const {
  if (start.epoch < epoch_) {
    return absl::FailedPreconditionError(Text("a writer of epoch ", start.epoch,
                                              " has been succeeded: epoch ", epoch_,
                                              " was followed already"));
  }
  bool fits = start.is_jump ? start.after >= published() : is_open() && start.after == published();
  if (start.is_jump) {
    const bool is_ascending =
        std::ranges::adjacent_find(start.history, std::greater_equal<>(),
                                   &protocol::DurableStep::vdl) == start.history.end();
    fits &= is_ascending && !start.history.empty() && start.history.back().vdl == start.after;
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Text("the redo stream begins at lsn ", start.after, ", this reader is at lsn ", published()));
}

absl::Status Replica::CheckShape(const VolumeShape& shape) const {
  const volume::Descriptor& now = shape_.descriptor;
  const volume::Geometry& geometry = shape.descriptor.geometry;
  if (shape.memberships.size() != geometry.pg_count || geometry.pg_count == 0) {
    return absl::InvalidArgumentError("the redo stream does not name every group's members");
  }
  if (!is_open()) return absl::OkStatus();
  if (shape.descriptor.volume != now.volume || geometry.page_bytes != now.geometry.page_bytes ||
      geometry.pages_per_pg != now.geometry.pages_per_pg ||
      geometry.pg_count < now.geometry.pg_count) {
    return absl::InvalidArgumentError("the redo stream is of another volume");
  }
  return absl::OkStatus();
}

absl::Status Replica::CheckDurable(const FollowDurable& durable, bool starts, Lsn published,
                                   const Mtrs& mtrs) const {
  const auto commit_of = [](const auto& mtr) { return mtr->commit_lsn; };
  const auto has_commit = [&](const auto& some) {
    return std::ranges::binary_search(some, durable.vdl, {}, commit_of);
  };
  const bool is_pending = !starts && has_commit(pending_);
  if (durable.vdl == published || is_pending || has_commit(mtrs)) return absl::OkStatus();
  return absl::InvalidArgumentError(Text("the redo stream announces VDL ", durable.vdl,
                                         ", which is no commit that it has sent above lsn ",
                                         published));
}

void Replica::TakeStart(const FollowStart& start, Step* step) {
  const bool is_first = epoch_ == VolumeEpoch();
  epoch_ = start.epoch;
  is_started_ = true;
  wants_jump_ = false;
  received_ = start.after;
  pending_.clear();
  pending_bytes_ = 0;
  if (!start.is_jump) return;
  if (!is_first) ++counters_.jumps;
  step->is_jump = true;
  step->jumped_to = start.after;
  step->steps.push_back(start.history.back());
  tails_ = start.tails;
  published_.AdvanceTo(start.after);
  times_.Begin(start.history.front().vdl, start.history.front().time_us);
  for (size_t i = 1; i < start.history.size(); ++i) {
    times_.Committed(start.history[i].vdl, start.history[i].time_us);
  }
}

void Replica::TakeDurable(const FollowDurable& durable, Step* step) {
  auto next = durable.steps.begin();
  while (!pending_.empty() && pending_.front()->commit_lsn <= durable.vdl) {
    auto mtr = std::move(pending_.front());
    pending_.pop_front();
    pending_bytes_ -= CostOf(*mtr);
    for (size_t i = 0; i < mtr->changes.size(); ++i) {
      const PgId pg = shape_.descriptor.geometry.PgOf(mtr->changes[i].page);
      tails_[pg.value()] = mtr->first_lsn + i;
    }
    // The writer forgets times that are old; then the newest that is known stands in.
    while (next != durable.steps.end() && next->vdl < mtr->commit_lsn) ++next;
    times_.Committed(mtr->commit_lsn,
                     next == durable.steps.end() ? times_.newest_time_us() : next->time_us);
    ++counters_.mtrs;
    counters_.records += mtr->changes.size();
    published_.AdvanceTo(mtr->commit_lsn);
    step->apply.push_back(std::move(mtr));
  }
  SEXTANT_CHECK(published() == durable.vdl);
  floor_ = std::max(floor_, durable.floor);
  times_.Forget(floor_);
  step->steps.insert(step->steps.end(), durable.steps.begin(), durable.steps.end());
}

}  // namespace sextant::compute
