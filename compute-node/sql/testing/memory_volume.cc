// See memory_volume.h.
#include "compute-node/sql/testing/memory_volume.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/log/record.h"

namespace sextant::sql {

class MemoryVolume::View : public compute::ReadView {
 public:
  View(MemoryVolume* volume, Lsn read_point) : volume_(volume), read_point_(read_point) {}
  ~View() override { volume_->CloseView(read_point_); }
  Lsn read_point() const override { return read_point_; }

 private:
  MemoryVolume* volume_;
  Lsn read_point_;
};

MemoryVolume::MemoryVolume(Options options)
    : options_(options),
      zeros_(std::make_shared<page::PageImage>(
          page::PageImage{Lsn(0), std::string(options.page_bytes, '\0')})),
      is_automatic_(options.is_automatic) {}

MemoryVolume::~MemoryVolume() { SEXTANT_CHECK(views_.empty()) << views_.size() << " views open"; }

volume::Geometry MemoryVolume::geometry() const {
  return {.page_bytes = options_.page_bytes, .pages_per_pg = options_.pages, .pg_count = 1};
}

Lsn MemoryVolume::head() const {
  std::lock_guard lock(mutex_);
  return head_;
}

Lsn MemoryVolume::vdl() const {
  std::lock_guard lock(mutex_);
  return vdl_;
}

absl::StatusOr<std::unique_ptr<compute::ReadView>> MemoryVolume::OpenView(Lsn read_point) {
  std::lock_guard lock(mutex_);
  if (read_point > head_) return absl::OutOfRangeError("read point above head");
  views_.insert(read_point);
  return std::make_unique<View>(this, read_point);
}

void MemoryVolume::CloseView(Lsn read_point) {
  std::lock_guard lock(mutex_);
  views_.erase(views_.find(read_point));
}

absl::StatusOr<Lsn> MemoryVolume::AsOfLsn(Lsn lsn) const {
  std::lock_guard lock(mutex_);
  if (lsn > vdl_) return absl::OutOfRangeError(Text("lsn ", lsn, " is not durable yet"));
  if (!options_.keeps_versions && lsn < vdl_) {
    return absl::OutOfRangeError(Text("snapshot too old: the oldest is lsn ", vdl_));
  }
  return *std::prev(commits_.upper_bound(lsn));
}

absl::StatusOr<Lsn> MemoryVolume::AsOfTime(absl::Time time) const {
  const int64_t us = absl::ToUnixMicros(time);
  if (us < 0) return absl::OutOfRangeError("snapshot too old: time begins in 1970");
  return AsOfLsn(std::min(Lsn(static_cast<uint64_t>(us)), vdl()));
}

absl::StatusOr<compute::PageRef> MemoryVolume::ReadPage(const compute::ReadView& view,
                                                        PageNo page) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(read_error_);
  if (page.value() >= options_.pages) {
    return absl::OutOfRangeError(Text("page ", page, " lies beyond the volume's end"));
  }
  const auto versions = pages_.find(page);
  if (versions == pages_.end()) return zeros_;
  auto version = versions->second.upper_bound(view.read_point());
  if (version == versions->second.begin()) return zeros_;
  return std::prev(version)->second;
}

void MemoryVolume::Prefetch(const compute::ReadView&, const std::vector<PageNo>&) {}

absl::Status MemoryVolume::CheckAppend(uint64_t, const std::vector<PageNo>& pages) const {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(check_error_);
  for (const PageNo page : pages) {
    if (page.value() >= options_.pages) return absl::OutOfRangeError("the volume is full");
  }
  return absl::OkStatus();
}

void MemoryVolume::CountRedo(const compute::PageWrite& write, Lsn lsn) {
  const page::Diff diff = page::DiffPages(write.base->bytes, write.after);
  const Lsn previous(lsn.value() - 1);
  log::RecordHeader header{.lsn = lsn,
                           .prev_volume_lsn = previous,
                           .prev_pg_lsn = previous,
                           .prev_page_lsn = write.base->lsn,
                           .page = write.page,
                           .epoch = VolumeEpoch(1),
                           .is_full_image = diff.is_full_image};
  std::string encoded;
  log::EncodeRecord(VolumeId(1), PgId(0), header, diff.payload, &encoded);
  ++counters_.records;
  counters_.redo_bytes += encoded.size();
}

void MemoryVolume::CollectBelowOldestView(Versions* versions) {
  if (options_.keeps_versions) return;
  const Lsn floor = views_.empty() ? vdl_ : std::min(vdl_, *views_.begin());
  auto keep = versions->upper_bound(floor);
  if (keep != versions->begin()) versions->erase(versions->begin(), std::prev(keep));
}

absl::StatusOr<Lsn> MemoryVolume::Append(std::vector<compute::PageWrite> writes) {
  std::unique_lock lock(mutex_);
  RETURN_IF_ERROR(append_error_);
  for (const compute::PageWrite& write : writes) {
    const auto versions = pages_.find(write.page);
    const Lsn newest = versions == pages_.end() ? Lsn(0) : versions->second.rbegin()->first;
    if (newest != write.base->lsn) return absl::AbortedError("the page has moved");
  }
  for (compute::PageWrite& write : writes) {
    if (write.after == write.base->bytes) continue;
    head_ = head_.Next();
    CountRedo(write, head_);
    Versions& versions = pages_[write.page];
    versions[head_] =
        std::make_shared<page::PageImage>(page::PageImage{head_, std::move(write.after)});
    CollectBelowOldestView(&versions);
  }
  ++counters_.appends;
  const Lsn commit = head_;
  commits_.insert(commit);
  if (is_automatic_) MoveVdl(std::move(lock), commit);
  return commit;
}

void MemoryVolume::WhenDurable(Lsn lsn, absl::Duration, DurableCallback done) {
  {
    std::lock_guard lock(mutex_);
    if (vdl_ < lsn) {
      waits_.push_back({lsn, std::move(done)});
      return;
    }
  }
  done(absl::OkStatus());
}

void MemoryVolume::WhenCurrent(absl::Duration, DurableCallback done) {
  {
    std::lock_guard lock(mutex_);
    ++proofs_;
    if (are_proofs_held_) {
      held_proofs_.push_back(std::move(done));
      return;
    }
  }
  done(absl::OkStatus());
}

void MemoryVolume::HoldProofs() {
  std::lock_guard lock(mutex_);
  are_proofs_held_ = true;
}

void MemoryVolume::AnswerProofs(const absl::Status& status) {
  std::vector<DurableCallback> held;
  {
    std::lock_guard lock(mutex_);
    are_proofs_held_ = false;
    held.swap(held_proofs_);
  }
  for (const DurableCallback& done : held) done(status);
}

int MemoryVolume::proofs() const {
  std::lock_guard lock(mutex_);
  return proofs_;
}

void MemoryVolume::MoveVdl(std::unique_lock<std::mutex> lock, Lsn lsn) {
  vdl_ = std::max(vdl_, lsn);
  std::vector<Wait> ready;
  std::vector<Wait> left;
  for (Wait& wait : waits_) (wait.lsn <= vdl_ ? ready : left).push_back(std::move(wait));
  waits_ = std::move(left);
  lock.unlock();
  for (Wait& wait : ready) wait.done(absl::OkStatus());
}

void MemoryVolume::SetAutomatic(bool is_automatic) {
  std::unique_lock lock(mutex_);
  is_automatic_ = is_automatic;
  const Lsn head = head_;
  if (is_automatic) MoveVdl(std::move(lock), head);
}

void MemoryVolume::AdvanceVdl(Lsn lsn) {
  std::unique_lock lock(mutex_);
  SEXTANT_CHECK(lsn <= head_);
  MoveVdl(std::move(lock), lsn);
}

void MemoryVolume::ExpireWaits() {
  std::vector<Wait> expired;
  {
    std::lock_guard lock(mutex_);
    expired = std::exchange(waits_, {});
  }
  for (Wait& wait : expired) wait.done(absl::DeadlineExceededError("not durable in time"));
}

size_t MemoryVolume::waits() const {
  std::lock_guard lock(mutex_);
  return waits_.size();
}

size_t MemoryVolume::open_views() const {
  std::lock_guard lock(mutex_);
  return views_.size();
}

void MemoryVolume::FailChecks(absl::Status status) {
  std::lock_guard lock(mutex_);
  check_error_ = std::move(status);
}

void MemoryVolume::FailAppends(absl::Status status) {
  std::lock_guard lock(mutex_);
  append_error_ = std::move(status);
}

void MemoryVolume::FailReads(absl::Status status) {
  std::lock_guard lock(mutex_);
  read_error_ = std::move(status);
}

void MemoryVolume::Crash() {
  std::lock_guard lock(mutex_);
  for (auto& [page, versions] : pages_) versions.erase(versions.upper_bound(vdl_), versions.end());
  std::erase_if(pages_, [](const auto& entry) { return entry.second.empty(); });
  head_ = vdl_;
}

MemoryVolume::Counters MemoryVolume::counters() const {
  std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace sextant::sql
