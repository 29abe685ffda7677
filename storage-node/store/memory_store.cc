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
  const auto versions = pages_.find({segment, page});
  if (versions == pages_.end()) return false;
  const auto version = versions->second.find(lsn);
  if (version == versions->second.end() || byte >= version->second.bytes.size()) return false;
  version->second.bytes[byte] = static_cast<char>(version->second.bytes[byte] ^ 1);
  return true;
}

bool MemoryDisk::LoseBatch(SegmentId segment, LogPosition position) {
  Lock lock(mutex_);
  const auto files = files_.find(segment);
  return files != files_.end() && files->second.log.erase(position) > 0;
}

void MemoryDisk::Crash() {
  Lock lock(mutex_);
  ++boots_;
  pages_.clear();
  unsynced_.clear();
}

void MemoryDisk::Apply(const StoreWrite& write) {
  for (const LogAppend& append : write.log) {
    files_[append.segment].log[append.position] = append.batch;
  }
  for (const LogHighWater& mark : write.high_water) files_[mark.segment].high_water = mark;
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
  if (disk_->is_full_) return absl::ResourceExhaustedError("memory store: no room");
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
    SegmentId segment,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  std::map<LogPosition, std::shared_ptr<const std::string>> log;
  {
    Lock lock(disk_->mutex_);
    RETURN_IF_ERROR(CheckAlive());
    if (const MemoryDisk::SegmentFiles* files = FindFiles(segment)) log = files->log;
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
  disk_->pages_[{segment, page}][image.lsn] = {image.bytes,
                                               PageCrc(segment, page, image.lsn, image.bytes)};
  return absl::OkStatus();
}

}  // namespace sextant::storage
