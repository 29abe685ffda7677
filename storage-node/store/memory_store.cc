// See memory_store.h.
#include "storage-node/store/memory_store.h"

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

using Lock = std::lock_guard<std::mutex>;

absl::Status NoSuchBatch(SegmentId segment, LogPosition position) {
  return absl::NotFoundError(Text("no batch at position ", position, " of volume ",
                                  FormatVolumeId(segment.volume), " pg ", segment.pg));
}

}  // namespace

void MemoryDisk::FailNextWrite(absl::Status error) {
  Lock lock(mutex_);
  write_error_ = std::move(error);
}

void MemoryDisk::FailNextSync(absl::Status error) {
  Lock lock(mutex_);
  sync_error_ = std::move(error);
}

void MemoryDisk::SetFull(bool is_full) {
  Lock lock(mutex_);
  is_full_ = is_full;
}

void MemoryDisk::SetCommitHook(std::function<void(const StoreWrite&)> hook) {
  Lock lock(mutex_);
  hook_ = std::move(hook);
}

bool MemoryDisk::DamageBatch(SegmentId segment, LogPosition position, size_t byte) {
  Lock lock(mutex_);
  const auto files = files_.find(segment);
  if (files == files_.end()) return false;
  const auto batch = files->second.log.find(position);
  if (batch == files->second.log.end() || byte >= batch->second->size()) return false;
  std::string damaged = *batch->second;  // senders share the original bytes
  damaged[byte] = static_cast<char>(damaged[byte] ^ 1);
  batch->second = std::make_shared<const std::string>(std::move(damaged));
  return true;
}

bool MemoryDisk::DamagePage(SegmentId segment, PageNo page, Lsn lsn, size_t byte) {
  Lock lock(mutex_);
  bool is_found = false;
  for (Pages* pages : {&pages_, &flushed_pages_}) {
    StoredPage* stored = FindPage(pages, segment, page, lsn);
    if (stored == nullptr || byte >= stored->bytes.size()) continue;
    stored->bytes[byte] = static_cast<char>(stored->bytes[byte] ^ 1);
    is_found = true;
  }
  return is_found;
}

bool MemoryDisk::LoseBatch(SegmentId segment, LogPosition position) {
  Lock lock(mutex_);
  const auto files = files_.find(segment);
  return files != files_.end() && files->second.log.erase(position) > 0;
}

bool MemoryDisk::LosePage(SegmentId segment, PageNo page, Lsn lsn) {
  Lock lock(mutex_);
  bool is_found = false;
  for (Pages* pages : {&pages_, &flushed_pages_}) {
    const auto versions = pages->find({segment, page});
    if (versions == pages->end() || versions->second.erase(lsn) == 0) continue;
    if (versions->second.empty()) pages->erase(versions);
    is_found = true;
  }
  return is_found;
}

void MemoryDisk::MisdirectNextPage(PageNo to) {
  Lock lock(mutex_);
  misdirect_to_ = to;
}

void MemoryDisk::FailNextFlush(absl::Status error) {
  Lock lock(mutex_);
  flush_error_ = std::move(error);
}

void MemoryDisk::Crash() {
  Lock lock(mutex_);
  ++boots_;
  pages_ = flushed_pages_;
  dirty_pages_.clear();
  unsynced_.clear();
}

MemoryDisk::StoredPage* MemoryDisk::FindPage(Pages* pages, SegmentId segment, PageNo page,
                                             Lsn lsn) {
  const auto versions = pages->find({segment, page});
  if (versions == pages->end()) return nullptr;
  const auto version = versions->second.find(lsn);
  return version == versions->second.end() ? nullptr : &version->second;
}

void MemoryDisk::FlushPages() {
  for (const PageKey& key : dirty_pages_) {
    const auto versions = pages_.find(key);
    if (versions == pages_.end()) {
      flushed_pages_.erase(key);
    } else {
      flushed_pages_[key] = versions->second;
    }
  }
  dirty_pages_.clear();
}

void MemoryDisk::DropSegment(SegmentId segment) {
  files_.erase(segment);
  const auto is_of = [&](const PageKey& key) { return key.first == segment; };
  std::erase_if(pages_, [&](const auto& entry) { return is_of(entry.first); });
  std::erase_if(flushed_pages_, [&](const auto& entry) { return is_of(entry.first); });
  std::erase_if(dirty_pages_, is_of);
}

void MemoryDisk::Apply(const StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) DropSegment(segment);
  for (const LogDrop& drop : write.log_drops) {
    auto& log = files_[drop.segment].log;
    log.erase(log.begin(), log.lower_bound(drop.before));
  }
  for (const LogAppend& append : write.log) {
    files_[append.segment].log[append.position] = append.batch;
  }
  for (const LogHighWater& mark : write.high_water) files_[mark.segment].high_water = mark;
  for (const SegmentState& state : write.remains) files_[state.segment].state = state;
  for (const SegmentState& state : write.states) files_[state.segment].state = state;
}

uint64_t MemoryDisk::Boot() {
  Lock lock(mutex_);
  for (const StoreWrite& write : unsynced_) Apply(write);
  unsynced_.clear();
  return ++boots_;
}

MemoryStore::MemoryStore(std::shared_ptr<MemoryDisk> disk)
    : disk_(std::move(disk)), boot_(disk_->Boot()) {}

absl::Status MemoryStore::CheckAlive() const {
  if (boot_ != disk_->boots_)
    return absl::UnavailableError("memory store: crashed, or opened again");
  return absl::OkStatus();
}

absl::Status MemoryStore::Fail(absl::Status error) {
  SEXTANT_CHECK(!error.ok());
  failed_ = error;
  return error;
}

absl::Status MemoryStore::Commit(const StoreWrite& write) {
  std::function<void(const StoreWrite&)> hook;
  {
    Lock lock(disk_->mutex_);
    hook = disk_->hook_;
  }
  if (hook) hook(write);
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  RETURN_IF_ERROR(failed_);
  if (disk_->is_full_ && !write.MakesRoom())
    return absl::ResourceExhaustedError("memory store: no room");
  if (!disk_->write_error_.ok()) return Fail(std::exchange(disk_->write_error_, absl::OkStatus()));
  if (!disk_->sync_error_.ok()) {
    disk_->unsynced_.push_back(write);
    return Fail(std::exchange(disk_->sync_error_, absl::OkStatus()));
  }
  disk_->Apply(write);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SegmentState>> MemoryStore::LoadStates() {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  std::vector<SegmentState> states;
  for (const auto& [segment, files] : disk_->files_) {
    if (files.state) states.push_back(*files.state);
  }
  return states;
}

const MemoryDisk::SegmentFiles* MemoryStore::FindFiles(SegmentId segment) const {
  const auto files = disk_->files_.find(segment);
  return files == disk_->files_.end() ? nullptr : &files->second;
}

absl::StatusOr<std::optional<LogHighWater>> MemoryStore::LoadHighWater(SegmentId segment) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  const MemoryDisk::SegmentFiles* files = FindFiles(segment);
  if (files == nullptr) return std::optional<LogHighWater>();
  return files->high_water;
}

absl::Status MemoryStore::ScanLog(
    SegmentId segment, LogPosition from,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  std::map<LogPosition, std::shared_ptr<const std::string>> log;
  {
    Lock lock(disk_->mutex_);
    RETURN_IF_ERROR(CheckAlive());
    if (const MemoryDisk::SegmentFiles* files = FindFiles(segment)) {
      log.insert(files->log.lower_bound(from), files->log.end());
    }
  }
  for (const auto& [position, batch] : log) visit(position, batch);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const std::string>> MemoryStore::FindBatch(
    SegmentId segment, LogPosition position) const {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  const MemoryDisk::SegmentFiles* files = FindFiles(segment);
  if (files == nullptr) return NoSuchBatch(segment, position);
  const auto batch = files->log.find(position);
  if (batch == files->log.end()) return NoSuchBatch(segment, position);
  return batch->second;
}

absl::StatusOr<std::string> MemoryStore::ReadBatch(SegmentId segment, LogPosition position) {
  ASSIGN_OR_RETURN(const auto batch, FindBatch(segment, position));
  return *batch;
}

absl::StatusOr<std::string> MemoryStore::ReadRecord(SegmentId segment, LogPosition position,
                                                    uint32_t offset, uint32_t size) {
  ASSIGN_OR_RETURN(const auto batch, FindBatch(segment, position));
  return CutRecord(*batch, offset, size);
}

absl::StatusOr<std::optional<page::PageImage>> MemoryStore::ReadPage(SegmentId segment, PageNo page,
                                                                     Lsn at_or_below) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  const auto versions = disk_->pages_.find({segment, page});
  if (versions == disk_->pages_.end()) return std::optional<page::PageImage>();
  auto version = versions->second.upper_bound(at_or_below);
  if (version == versions->second.begin()) return std::optional<page::PageImage>();
  --version;
  ASSIGN_OR_RETURN(page::PageImage image, CheckPage(segment, page, version->first,
                                                    version->second.crc, version->second.bytes));
  return std::optional<page::PageImage>(std::move(image));
}

absl::Status MemoryStore::WritePage(SegmentId segment, PageNo page, const page::PageImage& image) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  RETURN_IF_ERROR(failed_);
  const PageNo to = std::exchange(disk_->misdirect_to_, std::nullopt).value_or(page);
  disk_->pages_[{segment, to}][image.lsn] = {image.bytes,
                                             PageCrc(segment, page, image.lsn, image.bytes)};
  disk_->dirty_pages_.insert({segment, to});
  return absl::OkStatus();
}

absl::Status MemoryStore::FlushPages() {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  RETURN_IF_ERROR(failed_);
  if (!disk_->flush_error_.ok()) return Fail(std::exchange(disk_->flush_error_, absl::OkStatus()));
  disk_->FlushPages();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<page::PageImage>> MemoryStore::ReadFlushedPage(SegmentId segment,
                                                                            PageNo page, Lsn lsn) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  const MemoryDisk::StoredPage* stored =
      disk_->FindPage(&disk_->flushed_pages_, segment, page, lsn);
  if (stored == nullptr) return std::optional<page::PageImage>();
  ASSIGN_OR_RETURN(page::PageImage image,
                   CheckPage(segment, page, lsn, stored->crc, stored->bytes));
  return std::optional<page::PageImage>(std::move(image));
}

absl::StatusOr<std::vector<PageNo>> MemoryStore::ListPages(SegmentId segment, PageNo from,
                                                           size_t limit) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  std::vector<PageNo> pages;
  for (auto it = disk_->pages_.lower_bound({segment, from});
       it != disk_->pages_.end() && it->first.first == segment && pages.size() < limit; ++it) {
    pages.push_back(it->first.second);
  }
  return pages;
}

absl::StatusOr<std::optional<PageNo>> MemoryStore::ScanPages(
    SegmentId segment, PageNo from, size_t limit,
    const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit) {
  MemoryDisk::Pages pages;
  std::optional<PageNo> next;
  {
    Lock lock(disk_->mutex_);
    RETURN_IF_ERROR(CheckAlive());
    auto it = disk_->pages_.lower_bound({segment, from});
    for (; it != disk_->pages_.end() && it->first.first == segment && pages.size() < limit; ++it) {
      pages.insert(*it);
    }
    if (it != disk_->pages_.end() && it->first.first == segment) next = it->first.second;
  }
  for (const auto& [key, versions] : pages) {
    for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
      const auto& [lsn, stored] = *it;
      visit(key.second, lsn, CheckPage(segment, key.second, lsn, stored.crc, stored.bytes));
    }
  }
  return next;
}

absl::Status MemoryStore::DropPageVersion(SegmentId segment, PageNo page, Lsn lsn) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  RETURN_IF_ERROR(failed_);
  const auto versions = disk_->pages_.find({segment, page});
  if (versions == disk_->pages_.end()) return absl::OkStatus();
  versions->second.erase(lsn);
  if (versions->second.empty()) disk_->pages_.erase(versions);
  disk_->dirty_pages_.insert({segment, page});
  return absl::OkStatus();
}

absl::Status MemoryStore::DropPageVersions(SegmentId segment, PageNo page, Lsn below) {
  Lock lock(disk_->mutex_);
  RETURN_IF_ERROR(CheckAlive());
  RETURN_IF_ERROR(failed_);
  const auto versions = disk_->pages_.find({segment, page});
  if (versions == disk_->pages_.end()) return absl::OkStatus();
  versions->second.erase(versions->second.begin(), versions->second.lower_bound(below));
  if (versions->second.empty()) disk_->pages_.erase(versions);
  disk_->dirty_pages_.insert({segment, page});
  return absl::OkStatus();
}

}  // namespace sextant::storage
