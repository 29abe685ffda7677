// See sim_disk.h. Writing, reading and the machine's life; damage at rest is in damage.cc.
#include "tests/simulation/disk/sim_disk.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/status.h"
#include "storage-node/store/store_codec.h"

namespace sextant::simulation {

using storage::LogPosition;
using storage::StoreWrite;

// --- writing

void SimDisk::Begin(StoreWrite write) {
  SEXTANT_CHECK(!is_under_way_);
  is_under_way_ = true;
  unsynced_ = std::move(write);
}

absl::Status SimDisk::End() {
  SEXTANT_CHECK(is_under_way_);
  is_under_way_ = false;
  if (!failed_.ok()) return failed_;
  if (full_until_ <= sim_.loop.now() && sim_.Happens(plan.fill_one_in)) {
    full_until_ = sim_.loop.now() + sim_.Between(absl::ZeroDuration(), 2 * plan.full_for);
    sim_.Count(Fault::kDiskFull);
    sim_.Tell("node ", node_, ": disk full");
  }
  if (full_until_ > sim_.loop.now() && !unsynced_->MakesRoom()) {
    unsynced_.reset();
    return absl::ResourceExhaustedError("simulated disk: no room");
  }
  if (sim_.Happens(plan.fail_write_one_in)) {
    sim_.Count(Fault::kWriteFailed);
    unsynced_.reset();
    return Fail(absl::DataLossError("simulated disk: EIO on write"));
  }
  if (sim_.Happens(plan.fail_sync_one_in)) {
    // The page cache may have dropped what it could not write, or written it all the same.
    sim_.Count(Fault::kSyncFailed);
    if (sim_.rng.OneIn(2)) unsynced_.reset();
    return Fail(absl::DataLossError("simulated disk: EIO on sync"));
  }
  MakeDurable(*unsynced_);
  unsynced_.reset();
  return absl::OkStatus();
}

absl::Status SimDisk::Commit(const StoreWrite& write) {
  Begin(write);
  return End();
}

absl::Status SimDisk::Fail(absl::Status error) {
  failed_ = error;
  sim_.Tell("node ", node_, ": ", error.message());
  return error;
}

void SimDisk::MakeDurable(const StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) {
    image_.erase(segment);
    std::erase_if(unflushed_, [&](const PageUndo& undo) { return undo.segment == segment; });
  }
  for (const storage::LogAppend& append : write.log) {
    image_[append.segment].log[append.position] = append.batch;
  }
  for (const storage::LogHighWater& mark : write.high_water) {
    image_[mark.segment].high_water = mark;
  }
  for (const storage::SegmentState& state : write.remains) remains_[state.segment] = state;
  for (const storage::SegmentState& state : write.states) {
    remains_.erase(state.segment);
    image_[state.segment].state = state;
  }
  for (const storage::LogDrop& drop : write.log_drops) {
    auto& log = image_[drop.segment].log;
    log.erase(log.begin(), log.lower_bound(drop.before));
  }
  sim_.observer->Durable(node_, write);
}

// --- page versions

void SimDisk::Remember(SegmentId segment, const PageKey& key) {
  const auto& pages = image_[segment].pages;
  const auto version = pages.find(key);
  unflushed_.push_back(
      {segment, key,
       version == pages.end() ? std::nullopt : std::optional<StoredPage>(version->second)});
}

absl::Status SimDisk::WritePage(SegmentId segment, PageNo page, const page::PageImage& image) {
  RETURN_IF_ERROR(failed_);
  Remember(segment, {page, image.lsn});
  image_[segment].pages[{page, image.lsn}] = {
      image.bytes, storage::PageCrc(segment, page, image.lsn, image.bytes)};
  return absl::OkStatus();
}

absl::Status SimDisk::DropPageVersions(SegmentId segment, PageNo page, Lsn below) {
  RETURN_IF_ERROR(failed_);
  auto& pages = image_[segment].pages;
  for (auto it = pages.lower_bound({page, Lsn()}); it != pages.lower_bound({page, below});) {
    Remember(segment, it->first);
    it = pages.erase(it);
  }
  return absl::OkStatus();
}

absl::Status SimDisk::DropPageVersion(SegmentId segment, PageNo page, Lsn lsn) {
  RETURN_IF_ERROR(failed_);
  auto& pages = image_[segment].pages;
  if (const auto it = pages.find({page, lsn}); it != pages.end()) {
    Remember(segment, it->first);
    pages.erase(it);
  }
  return absl::OkStatus();
}

absl::Status SimDisk::FlushPages() {
  RETURN_IF_ERROR(failed_);
  if (sim_.Happens(plan.fail_sync_one_in)) {
    sim_.Count(Fault::kSyncFailed);
    return Fail(absl::DataLossError("simulated disk: EIO on flush"));
  }
  if (plan.lose_page_write_one_in > 0) LosePageWrites();
  unflushed_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PageNo>> SimDisk::ListPages(SegmentId segment, PageNo from,
                                                       size_t limit) {
  std::vector<PageNo> found;
  const auto& pages = image_[segment].pages;
  for (auto it = pages.lower_bound({from, Lsn()}); it != pages.end() && found.size() < limit;
       it = pages.upper_bound({found.back(), Lsn(UINT64_MAX)})) {
    found.push_back(it->first.first);
  }
  return found;
}

absl::StatusOr<std::optional<PageNo>> SimDisk::ScanPages(
    SegmentId segment, PageNo from, size_t limit,
    const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit) {
  ASSIGN_OR_RETURN(const std::vector<PageNo> pages, ListPages(segment, from, limit + 1));
  const auto& stored = image_[segment].pages;
  for (size_t i = 0; i < std::min(limit, pages.size()); ++i) {
    const auto end = stored.lower_bound({pages[i], Lsn()});
    for (auto it = stored.upper_bound({pages[i], Lsn(UINT64_MAX)}); it != end;) {
      --it;
      const Lsn lsn = it->first.second;
      visit(pages[i], lsn,
            storage::CheckPage(segment, pages[i], lsn, it->second.crc, it->second.bytes));
    }
  }
  return pages.size() > limit ? std::optional<PageNo>(pages[limit]) : std::nullopt;
}

// --- the machine's life

void SimDisk::ProcessDied() {
  // What was done last is lost first.
  for (size_t keep = sim_.rng.Below(unflushed_.size() + 1); unflushed_.size() > keep;) {
    PageUndo undo = std::move(unflushed_.back());
    unflushed_.pop_back();
    auto& pages = image_[undo.segment].pages;
    if (undo.before.has_value()) {
      pages[undo.key] = *std::move(undo.before);
    } else {
      pages.erase(undo.key);
    }
  }
  unflushed_.clear();
}

void SimDisk::PowerLost() {
  sim_.Count(Fault::kPowerLost);
  if (unsynced_.has_value() && sim_.rng.OneIn(4)) {
    MakeDurable(*unsynced_);  // it had got to the platter
  } else if (unsynced_.has_value()) {
    sim_.Count(Fault::kWriteTorn);  // in part or not at all: the store takes neither for a write
  }
  unsynced_.reset();
}

void SimDisk::Boot() {
  is_under_way_ = false;
  failed_ = absl::OkStatus();
  if (unsynced_.has_value()) MakeDurable(*unsynced_);
  unsynced_.reset();
}

// --- reading

absl::StatusOr<std::vector<storage::SegmentState>> SimDisk::LoadStates() {
  std::vector<storage::SegmentState> states;
  for (const auto& [segment, files] : image_) {
    if (files.state.has_value()) states.push_back(*files.state);
  }
  for (const auto& [segment, state] : remains_) states.push_back(state);
  return states;
}

absl::StatusOr<std::optional<storage::LogHighWater>> SimDisk::LoadHighWater(SegmentId segment) {
  return image_[segment].high_water;
}

absl::Status SimDisk::ScanLog(
    SegmentId segment, LogPosition from,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  const auto& log = image_[segment].log;
  for (auto it = log.lower_bound(from); it != log.end(); ++it) visit(it->first, it->second);
  return absl::OkStatus();
}

const std::string* SimDisk::Batch(SegmentId segment, LogPosition position) const {
  const auto files = image_.find(segment);
  if (files == image_.end()) return nullptr;
  const auto batch = files->second.log.find(position);
  return batch == files->second.log.end() ? nullptr : batch->second.get();
}

absl::StatusOr<const std::string*> SimDisk::Find(SegmentId segment, LogPosition position) const {
  if (const std::string* batch = Batch(segment, position)) return batch;
  return absl::NotFoundError(Text("simulated disk: no batch at position ", position));
}

absl::StatusOr<std::string> SimDisk::ReadBatch(SegmentId segment, LogPosition position) {
  ASSIGN_OR_RETURN(const std::string* batch, Find(segment, position));
  return *batch;
}

absl::StatusOr<std::string> SimDisk::ReadRecord(SegmentId segment, LogPosition position,
                                                uint32_t offset, uint32_t size) {
  ASSIGN_OR_RETURN(const std::string* batch, Find(segment, position));
  return storage::CutRecord(*batch, offset, size);
}

absl::StatusOr<std::optional<page::PageImage>> SimDisk::ReadPage(SegmentId segment, PageNo page,
                                                                 Lsn at_or_below) {
  const auto& pages = image_[segment].pages;
  auto version = pages.upper_bound({page, at_or_below});
  if (version == pages.begin()) return std::optional<page::PageImage>();
  --version;
  if (version->first.first != page) return std::optional<page::PageImage>();
  ASSIGN_OR_RETURN(page::PageImage image,
                   storage::CheckPage(segment, page, version->first.second, version->second.crc,
                                      version->second.bytes));
  return std::optional<page::PageImage>(std::move(image));
}

absl::StatusOr<std::optional<page::PageImage>> SimDisk::ReadFlushedPage(SegmentId segment,
                                                                        PageNo page, Lsn lsn) {
  const PageKey key(page, lsn);
  const auto& pages = image_[segment].pages;
  const auto stored = pages.find(key);
  const StoredPage* version = stored == pages.end() ? nullptr : &stored->second;
  // The first thing done to it since the flush tells what it was then.
  const auto undo = std::ranges::find_if(
      unflushed_, [&](const PageUndo& undo) { return undo.segment == segment && undo.key == key; });
  if (undo != unflushed_.end()) version = undo->before.has_value() ? &*undo->before : nullptr;
  if (version == nullptr) return std::optional<page::PageImage>();
  ASSIGN_OR_RETURN(page::PageImage image,
                   storage::CheckPage(segment, page, lsn, version->crc, version->bytes));
  return std::optional<page::PageImage>(std::move(image));
}

}  // namespace sextant::simulation
