// WriterVolume as an engine uses it: views, page reads, appends, waiting for durability.
#include <algorithm>
#include <future>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "compute-node/writer/effects.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::compute {
namespace {

// What a record costs beside its payload, about: for back-pressure and the limit of a
// mini-transaction.
constexpr uint64_t kRecordOverheadBytes = 48;

constexpr absl::Duration kReadLogTimeout = absl::Seconds(5);

}  // namespace

class WriterVolume::View final : public ReadView {
 public:
  View(WriterVolume* volume, Lsn read_point) : volume_(*volume), read_point_(read_point) {}
  ~View() override {
    std::lock_guard lock(volume_.mutex_);
    volume_.ClosePoint(read_point_);
  }
  Lsn read_point() const override { return read_point_; }

 private:
  WriterVolume& volume_;
  const Lsn read_point_;
};

void WriterVolume::OpenPoint(Lsn lsn) {
  ++points_[lsn];
  writer_->OpenReadPoint(lsn);
}

void WriterVolume::ClosePoint(Lsn lsn) {
  const auto point = points_.find(lsn);
  SEXTANT_CHECK(point != points_.end());
  if (--point->second == 0) points_.erase(point);
  writer_->CloseReadPoint(lsn);
}

Lsn WriterVolume::LowestPoint() const {
  return points_.empty() ? writer_->vdl() : std::min(points_.begin()->first, writer_->vdl());
}

absl::StatusOr<std::unique_ptr<ReadView>> WriterVolume::OpenView(Lsn read_point) {
  RETURN_IF_ERROR(CheckOpen());
  std::lock_guard lock(mutex_);
  if (read_point > writer_->head()) {
    return absl::OutOfRangeError(
        Text("read point ", read_point, " is above the last commit, ", writer_->head()));
  }
  if (read_point < writer_->pgmrpl()) {
    return absl::OutOfRangeError(Text("snapshot too old: nothing below lsn ", writer_->pgmrpl(),
                                      " is kept for readers, asked for ", read_point));
  }
  OpenPoint(read_point);
  return std::make_unique<View>(this, read_point);
}

absl::StatusOr<PageRef> WriterVolume::ReadPage(const ReadView& view, PageNo page) {
  if (PageRef hit = cache_.Get(page, view.read_point())) return hit;
  RETURN_IF_ERROR(CheckOpen());
  const volume::Geometry geometry = OpenGeometry();
  if (!geometry.Contains(page)) {
    return absl::OutOfRangeError(
        Text("page ", page, " is beyond the volume's end, ", geometry.PageCount(), " pages"));
  }
  return reads_.ReadBlocking(geometry.PgOf(page), page, view.read_point());
}

void WriterVolume::ReadPageAsync(const ReadView& view, PageNo page, VolumeReads::Done done) {
  if (absl::Status open = CheckOpen(); !open.ok()) return done(std::move(open));
  const volume::Geometry geometry = OpenGeometry();
  if (!geometry.Contains(page)) {
    return done(absl::OutOfRangeError(
        Text("page ", page, " is beyond the volume's end, ", geometry.PageCount(), " pages")));
  }
  reads_.Read(geometry.PgOf(page), page, view.read_point(), std::move(done));
}

void WriterVolume::Prefetch(const ReadView& view, const std::vector<PageNo>& pages) {
  if (phase_.load(std::memory_order_acquire) != VolumePhase::kOpen) return;
  const volume::Geometry geometry = OpenGeometry();
  std::map<PgId, std::vector<PageNo>> by_pg;
  for (PageNo page : pages) {
    if (geometry.Contains(page)) by_pg[geometry.PgOf(page)].push_back(page);
  }
  for (const auto& [pg, group] : by_pg) reads_.Prefetch(pg, group, view.read_point());
}

absl::StatusOr<ReadGrant> WriterVolume::BeginRead(PgId pg, Lsn at) {
  std::lock_guard lock(mutex_);
  if (is_shut_down_) return absl::UnavailableError("this node is shutting down");
  if (writer_->is_fenced()) return error_;
  ReadGrant grant;
  grant.segment = {recovered_->descriptor.volume, pg};
  grant.epoch = recovered_->epoch;
  grant.read_point = std::min(at, writer_->vdl());
  // The last LSN of the protection group at VDL: as much as it needs at the read point, or more,
  // but never more than the read point itself asks for.
  grant.pg_lsn = std::min((*writer_->DurableTails())[pg.value()], grant.read_point);
  grant.page_bytes = recovered_->descriptor.geometry.page_bytes;
  OpenPoint(grant.read_point);
  return grant;
}

void WriterVolume::EndRead(const ReadGrant& grant) {
  std::lock_guard lock(mutex_);
  ClosePoint(grant.read_point);
}

std::vector<NodeIndex> WriterVolume::CompleteNodes(const ReadGrant& grant) {
  std::vector<NodeIndex> nodes;
  std::lock_guard lock(mutex_);
  for (quorum::Slot slot = 0; slot < quorum::kMaxSlots; ++slot) {
    const MemberAddress address{grant.segment.pg, slot};
    const std::optional<NodeIndex> node = NodeOf(address);
    if (!node) continue;
    const MemberProgress member = writer_->Member(address);
    const bool is_reachable = member.state == MemberState::kStreaming ||
                              member.state == MemberState::kBehind ||
                              member.state == MemberState::kNoSpace;
    if (is_reachable && member.scl >= grant.pg_lsn) nodes.push_back(*node);
  }
  return nodes;
}

void WriterVolume::Fetched(absl::Duration latency) {
  if (options_.on_fetched) options_.on_fetched(latency);
}

absl::Status WriterVolume::CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages) const {
  RETURN_IF_ERROR(CheckOpen());
  std::lock_guard lock(mutex_);
  // What a growth asks for leaves with the next tick.
  return writer_->CheckAppend(bytes, pages);
}

absl::StatusOr<Lsn> WriterVolume::Append(std::vector<PageWrite> writes) {
  return AppendWrites(std::move(writes), /*is_gathered=*/false);
}

absl::StatusOr<Lsn> WriterVolume::AppendGathered(std::vector<PageWrite> writes) {
  return AppendWrites(std::move(writes), /*is_gathered=*/true);
}

absl::StatusOr<Lsn> WriterVolume::AppendWrites(std::vector<PageWrite> writes, bool is_gathered) {
  RETURN_IF_ERROR(CheckOpen());
  const uint32_t page_bytes = recovered_->descriptor.geometry.page_bytes;
  std::vector<page::PageChange> changes;
  std::vector<PageNo> pages;
  uint64_t bytes = 0;
  std::erase_if(writes, [&](const PageWrite& write) {
    if (!write.base || write.after.size() != page_bytes) return false;  // refused below
    page::Diff diff = page::DiffPages(write.base->bytes, write.after);
    if (diff.payload.empty()) return true;
    bytes += diff.payload.size() + kRecordOverheadBytes;
    pages.push_back(write.page);
    changes.push_back({write.page, write.base->lsn, diff.is_full_image, std::move(diff.payload)});
    return false;
  });
  if (changes.size() != writes.size()) {
    return absl::InvalidArgumentError(
        Text("a page write has no base, or its page is not of ", page_bytes, " bytes"));
  }
  if (changes.empty()) return head();
  PreparedAppend append{std::move(writes), std::move(changes), std::move(pages), bytes, {},
                        is_gathered};
  for (PageWrite& write : append.writes) {
    append.images.push_back(
        std::make_shared<page::PageImage>(page::PageImage{Lsn(0), std::move(write.after)}));
  }
  return AppendPrepared(&append);
}

absl::StatusOr<Lsn> WriterVolume::AppendPrepared(PreparedAppend* append) {
  Effects effects(this);
  Lsn commit_lsn;
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return absl::UnavailableError("this node is shutting down");
    for (const PageWrite& write : append->writes) {
      const auto newest = written_.find(write.page);
      if (newest != written_.end() && newest->second != write.base->lsn) {
        return absl::AbortedError(Text("page ", write.page, " was changed at lsn ", newest->second,
                                       " after it was read at lsn ", write.base->lsn,
                                       ": start over"));
      }
    }
    RETURN_IF_ERROR(writer_->CheckAppend(append->bytes, append->pages));
    const Lsn prev_lsn = writer_->head();
    const Writer::Appended appended = writer_->Append(append->changes);
    commit_lsn = appended.commit_lsn;
    for (size_t i = 0; i < append->images.size(); ++i) {
      const Lsn lsn = appended.first_lsn + i;
      append->images[i]->lsn = lsn;
      written_[append->pages[i]] = lsn;
      cache_.Publish(append->pages[i], std::move(append->images[i]));
    }
    head_.store(commit_lsn.value(), std::memory_order_release);
    ring_.Push({prev_lsn, appended.first_lsn, commit_lsn, std::move(append->changes)},
               writer_->vdl());
    undurable_.push_back(commit_lsn);
    if (!append->is_gathered) Settle(&effects);
  }
  effects.Run();
  return commit_lsn;
}

// A segment's answer to a read tells as much as a refused batch: another writer has the volume.
void WriterVolume::Fenced() {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return;
    writer_->ReadFenced();
    Settle(&effects);
  }
  effects.Run();
}

void WriterVolume::WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) {
  if (lsn <= vdl()) return done(absl::OkStatus());
  Wait(std::move(done), /*is_commit=*/true,
       [&](WaitToken token, Instant now) { writer_->WaitDurable(lsn, token, now + timeout); });
}

void WriterVolume::WhenCurrent(absl::Duration timeout, DurableCallback done) {
  Wait(std::move(done), /*is_commit=*/false,
       [&](WaitToken token, Instant now) { writer_->WhenCurrent(token, now + timeout); });
}

void WriterVolume::Wait(DurableCallback done, bool is_commit,
                        const std::function<void(WaitToken, Instant now)>& ask) {
  Effects effects(this);
  absl::Status refusal;
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_ || !writer_) {
      refusal = absl::UnavailableError(WhyNotOpen());
    } else {
      const Instant now = rpc::SteadyNow();
      ask(waits_.Park({std::move(done), now, is_commit}), now);
      Settle(&effects);
    }
  }
  if (!refusal.ok()) return done(std::move(refusal));
  effects.Run();
}

bool WriterVolume::HasHeads(const std::vector<PageNo>& pages) const {
  return std::all_of(pages.begin(), pages.end(),
                     [this](PageNo page) { return cache_.Head(page) != nullptr; });
}

bool WriterVolume::RecentRedo(Lsn after, uint64_t max_bytes,
                              std::vector<std::shared_ptr<const AppendedMtr>>* out) const {
  std::lock_guard lock(mutex_);
  return ring_.Read(after, vdl(), max_bytes, out);
}

absl::StatusOr<protocol::ReadLogReply> WriterVolume::ReadLog(PgId pg, Lsn after, Lsn through,
                                                             uint64_t max_bytes) {
  RETURN_IF_ERROR(CheckOpen());
  ASSIGN_OR_RETURN(const ReadGrant grant, BeginRead(pg, vdl()));
  const std::vector<NodeIndex> nodes = CompleteNodes(grant);
  EndRead(grant);  // log, not pages: PGMRPL does not matter
  absl::Status last =
      absl::UnavailableError(Text("no complete segment of pg ", pg, " is connected"));
  for (const NodeIndex node : nodes) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<protocol::ReadLogReply>>>();
    auto future = promise->get_future();
    nodes_[node.value()]->peer->ReadLog({.segment = grant.segment,
                                         .epoch = grant.epoch,
                                         .after = after,
                                         .through = through,
                                         .max_bytes = max_bytes},
                                        kReadLogTimeout,
                                        [promise](absl::StatusOr<protocol::ReadLogReply> reply) {
                                          promise->set_value(std::move(reply));
                                        });
    absl::StatusOr<protocol::ReadLogReply> reply = future.get();
    if (absl::IsFailedPrecondition(reply.status())) Fenced();
    if (reply.ok() || absl::IsFailedPrecondition(reply.status())) return reply;
    last = reply.status();
  }
  return last;
}

}  // namespace sextant::compute
