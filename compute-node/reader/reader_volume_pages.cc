// ReaderVolume as an engine uses it: views, page reads, waits; appends are refused.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "compute-node/reader/reader_volume.h"

namespace sextant::compute {
namespace {

absl::Status NewWriterNotFound() {
  return absl::UnavailableError(
      "the volume has a new writer, which this reader has not found yet: retry");
}

}  // namespace

class ReaderVolume::View final : public ReadView {
 public:
  View(ReaderVolume* volume, Lsn read_point) : volume_(*volume), read_point_(read_point) {}
  ~View() override {
    std::lock_guard lock(volume_.mutex_);
    volume_.ClosePoint(read_point_);
  }
  Lsn read_point() const override { return read_point_; }

 private:
  ReaderVolume& volume_;
  const Lsn read_point_;
};

void ReaderVolume::ClosePoint(Lsn lsn) {
  const auto point = points_.find(lsn);
  SEXTANT_CHECK(point != points_.end());
  if (--point->second == 0) points_.erase(point);
}

volume::Geometry ReaderVolume::geometry() const {
  std::lock_guard lock(mutex_);
  if (!is_open_) return volume::Geometry{.pg_count = 0};
  return shape_.descriptor.geometry;
}

// With the mutex.
absl::Status ReaderVolume::CheckKept(Lsn read_point) const {
  if (read_point >= floor_) return absl::OkStatus();
  return absl::OutOfRangeError(Text("snapshot too old: nothing below lsn ", floor_,
                                    " is kept for readers, asked for ", read_point));
}

absl::StatusOr<std::unique_ptr<ReadView>> ReaderVolume::OpenView(Lsn read_point) {
  RETURN_IF_ERROR(CheckOpen());
  std::lock_guard lock(mutex_);
  if (is_shut_down_) return absl::UnavailableError("this node is shutting down");
  if (read_point > vdl()) {
    return absl::OutOfRangeError(
        Text("read point ", read_point, " is above what this reader shows, lsn ", vdl()));
  }
  RETURN_IF_ERROR(CheckKept(read_point));
  OpenPoint(read_point);
  return std::make_unique<View>(this, read_point);
}

absl::StatusOr<Lsn> ReaderVolume::AsOfLsn(Lsn lsn) const {
  std::lock_guard lock(stream_mutex_);
  return replica_.times().AtLsn(lsn);
}

absl::StatusOr<Lsn> ReaderVolume::AsOfTime(absl::Time time) const {
  std::lock_guard lock(stream_mutex_);
  return replica_.times().AtTime(absl::ToUnixMicros(time));
}

absl::StatusOr<ReaderVolume::ReadPlan> ReaderVolume::PlanRead(Lsn at, PageNo page) const {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckKept(at));
  const volume::Geometry& geometry = shape_.descriptor.geometry;
  if (!geometry.Contains(page)) {
    return absl::OutOfRangeError(
        Text("page ", page, " is beyond the volume's end, ", geometry.PageCount(), " pages"));
  }
  return ReadPlan{geometry.PgOf(page), epoch_};
}

absl::StatusOr<PageRef> ReaderVolume::ReadPage(const ReadView& view, PageNo page) {
  const Lsn at = view.read_point();
  if (PageRef hit = cache_.Get(page, at)) return hit;
  const Instant deadline = rpc::SteadyNow() + options_.fetch.deadline;
  while (true) {
    ASSIGN_OR_RETURN(const ReadPlan plan, PlanRead(at, page));
    absl::StatusOr<PageRef> read = reads_.ReadBlocking(plan.pg, page, at);
    if (!absl::IsFailedPrecondition(read.status())) return read;
    // Another writer has fenced the epoch that this reader follows. What it reads is durable, so it
    // reads the same under the new one, once it knows that.
    if (!AwaitEpochAfter(plan.epoch, deadline)) return NewWriterNotFound();
  }
}

void ReaderVolume::ReadPageAsync(const ReadView& view, PageNo page, VolumeReads::Done done) {
  const Lsn at = view.read_point();
  if (PageRef hit = cache_.Get(page, at)) return done(std::move(hit));
  const absl::StatusOr<ReadPlan> plan = PlanRead(at, page);
  if (!plan.ok()) return done(plan.status());
  reads_.Read(plan->pg, page, at, [done = std::move(done)](absl::StatusOr<PageRef> read) {
    if (absl::IsFailedPrecondition(read.status())) return done(NewWriterNotFound());
    done(std::move(read));
  });
}

bool ReaderVolume::AwaitEpochAfter(VolumeEpoch epoch, Instant deadline) {
  std::unique_lock lock(mutex_);
  const absl::Duration left = deadline - rpc::SteadyNow();
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(left),
                           [&] { return epoch_ > epoch || is_shut_down_; });
}

void ReaderVolume::Prefetch(const ReadView& view, const std::vector<PageNo>& pages) {
  const volume::Geometry geometry = this->geometry();
  std::map<PgId, std::vector<PageNo>> by_pg;
  for (PageNo page : pages) {
    if (geometry.Contains(page)) by_pg[geometry.PgOf(page)].push_back(page);
  }
  for (const auto& [pg, group] : by_pg) reads_.Prefetch(pg, group, view.read_point());
}

absl::StatusOr<ReadGrant> ReaderVolume::BeginRead(PgId pg, Lsn at) {
  std::lock_guard lock(mutex_);
  if (is_shut_down_) return absl::UnavailableError("this node is shutting down");
  ReadGrant grant;
  grant.segment = {shape_.descriptor.volume, pg};
  grant.epoch = epoch_;
  grant.read_point = at;
  // As much as the group needs at the read point, or more, but never more than that asks for.
  grant.pg_lsn = std::min(tails_[pg.value()], at);
  grant.page_bytes = shape_.descriptor.geometry.page_bytes;
  OpenPoint(at);
  return grant;
}

void ReaderVolume::EndRead(const ReadGrant& grant) {
  std::lock_guard lock(mutex_);
  ClosePoint(grant.read_point);
}

// How far segments are is not known here: one that is behind says so, and another is asked
// (net/segment_choice.h puts it last for a while).
std::vector<NodeIndex> ReaderVolume::CompleteNodes(const ReadGrant& grant) {
  std::vector<NodeIndex> nodes;
  std::lock_guard lock(mutex_);
  const volume::Membership& membership = shape_.memberships[grant.segment.pg.value()];
  for (const quorum::Slot slot : membership.ActiveSlots()) {
    const auto known = std::ranges::find(options_.storage_nodes, membership.members[slot].node);
    if (known == options_.storage_nodes.end()) continue;
    nodes.push_back(NodeIndex(static_cast<uint32_t>(known - options_.storage_nodes.begin())));
  }
  return nodes;
}

void ReaderVolume::Fetched(absl::Duration latency) {
  if (options_.on_fetched) options_.on_fetched(latency);
}

absl::Status ReaderVolume::CheckAppend(uint64_t, const std::vector<PageNo>&) const {
  const std::optional<ComputeNodeName> writer = this->writer();
  return absl::FailedPreconditionError(Text(
      "this node only reads: ", writer ? Text("the writer is ", writer->node) : "ask the writer"));
}

absl::StatusOr<Lsn> ReaderVolume::Append(std::vector<PageWrite>) { return CheckAppend(0, {}); }

void ReaderVolume::WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) {
  if (lsn <= vdl()) return done(absl::OkStatus());
  absl::Status refusal;
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) {
      refusal = absl::UnavailableError("this node is shutting down");
    } else if (lsn > vdl()) {
      const Instant now = rpc::SteadyNow();
      const WaitToken token = waits_.Park({done, now});
      refusal = commits_.Park(lsn, token, now + timeout);
      if (refusal.ok()) return;
      waits_.Take(token);
    }
  }
  done(std::move(refusal));
}

void ReaderVolume::WhenCurrent(absl::Duration, DurableCallback done) { done(absl::OkStatus()); }

}  // namespace sextant::compute
