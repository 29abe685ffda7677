// See volume_file.h. The read side: locks, read points, pages. The write side is
// volume_file_write.cc.
#include "compute-node/sql/volume_file.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/sql/page_one.h"
#include "compute-node/sql/pragma_policy.h"

namespace sextant::sql {
namespace {

// VDL may move, and old versions be collected, between choosing a read point and opening it.
constexpr int kOpenViewAttempts = 5;

int ReadErrorCode(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return SQLITE_NOTADB;
  return absl::IsDataLoss(status) ? SQLITE_IOERR_DATA : SQLITE_IOERR_READ;
}

}  // namespace

VolumeFile::VolumeFile(VolumeVfs* vfs)
    : vfs_(vfs), volume_(vfs->volume()), page_bytes_(volume_.geometry().page_bytes) {}

VolumeFile::~VolumeFile() { vfs_->StopWriting(this); }

absl::Status VolumeFile::TakeError() { return std::exchange(error_, absl::OkStatus()); }

int VolumeFile::Fail(int sqlite_code, absl::Status why) {
  error_ = std::move(why);
  return sqlite_code;
}

absl::StatusOr<Lsn> VolumeFile::ReadAsOf(std::optional<Lsn> lsn, std::optional<absl::Time> time) {
  SEXTANT_CHECK(lock_level_ == SQLITE_LOCK_NONE) << "time travel inside a transaction";
  ASSIGN_OR_RETURN(as_of_, lsn.has_value() ? volume_.AsOfLsn(*lsn)
                                           : volume_.AsOfTime(time.value_or(absl::Now())));
  return *as_of_;
}

Lsn VolumeFile::ChooseReadPoint() const {
  if (as_of_.has_value()) return *as_of_;
  if (holds_ticket_) return volume_.head();
  return std::max(volume_.vdl(), position_);
}

absl::Status VolumeFile::OpenViewAtNewest() {
  absl::Status status;
  for (int attempt = 0; attempt < kOpenViewAttempts; ++attempt) {
    const Lsn read_point = ChooseReadPoint();
    auto view = volume_.OpenView(read_point);
    status = view.status();
    if (absl::IsOutOfRange(status)) continue;
    RETURN_IF_ERROR(status);
    view_ = *std::move(view);
    read_point_ = read_point;
    if (!as_of_.has_value()) position_ = std::max(position_, read_point);
    return absl::OkStatus();
  }
  return status;
}

absl::StatusOr<const compute::ReadView*> VolumeFile::View() {
  SEXTANT_CHECK(lock_level_ >= SQLITE_LOCK_SHARED) << "a page was read without a read point";
  if (view_ == nullptr || view_->read_point() != read_point_) {
    ASSIGN_OR_RETURN(view_, volume_.OpenView(read_point_));
  }
  return view_.get();
}

absl::StatusOr<compute::PageRef> VolumeFile::ReadVersion(PageNo page) {
  ASSIGN_OR_RETURN(const compute::ReadView* view, View());
  FetchAhead(*view, page);
  return volume_.ReadPage(*view, page);
}

void VolumeFile::FetchAhead(const compute::ReadView& view, PageNo page) {
  if (page_one_ == nullptr) return;
  const ReadAhead::Range range = read_ahead_.Read(page, PageNo(DatabasePages(page_one_->bytes)));
  if (range.count == 0) return;
  std::vector<PageNo> pages;
  for (uint64_t i = 0; i < range.count; ++i) pages.push_back(range.first + i);
  volume_.Prefetch(view, pages);
}

absl::Status VolumeFile::LoadPageOne() {
  if (page_one_ != nullptr && page_one_lsn_ == read_point_) return absl::OkStatus();
  ASSIGN_OR_RETURN(compute::PageRef page_one, ReadVersion(kPageOne));
  RETURN_IF_ERROR(CheckPageOne(page_one->bytes, page_bytes_));
  page_one_ = std::move(page_one);
  page_one_lsn_ = read_point_;
  return absl::OkStatus();
}

int VolumeFile::Lock(int level) {
  if (level <= lock_level_) return SQLITE_OK;
  if (lock_level_ == SQLITE_LOCK_NONE) {
    if (absl::Status status = OpenViewAtNewest(); !status.ok()) {
      return Fail(SQLITE_IOERR_LOCK, std::move(status));
    }
    if (counter_lsn_ != read_point_) {
      ++counter_;
      counter_lsn_ = read_point_;
    }
    lock_level_ = SQLITE_LOCK_SHARED;
  }
  if (level >= SQLITE_LOCK_RESERVED && lock_level_ < SQLITE_LOCK_RESERVED) {
    if (const int rc = BecomeWriter(); rc != SQLITE_OK) return rc;
  }
  lock_level_ = level;
  return SQLITE_OK;
}

int VolumeFile::Unlock(int level) {
  if (level <= SQLITE_LOCK_SHARED && lock_level_ >= SQLITE_LOCK_RESERVED) EndWrite();
  if (level < lock_level_) lock_level_ = level;
  if (lock_level_ == SQLITE_LOCK_NONE) view_.reset();
  return SQLITE_OK;
}

int VolumeFile::CheckReservedLock(int* is_reserved) {
  *is_reserved = vfs_->HasWriter() ? 1 : 0;
  return SQLITE_OK;
}

int VolumeFile::Size(int64_t* bytes) {
  *bytes = 0;
  if (overlay_.is_open()) {
    *bytes = static_cast<int64_t>(overlay_.size_pages()) * page_bytes_;
    return SQLITE_OK;
  }
  // SQLite asks under a lock, but for a moment while it opens a file: then any answer of now is
  // right.
  const bool was_locked = lock_level_ != SQLITE_LOCK_NONE;
  if (!was_locked) {
    if (const int rc = Lock(SQLITE_LOCK_SHARED); rc != SQLITE_OK) return rc;
  }
  const absl::Status status = LoadPageOne();
  if (status.ok()) *bytes = static_cast<int64_t>(DatabasePages(page_one_->bytes)) * page_bytes_;
  if (!was_locked) Unlock(SQLITE_LOCK_NONE);
  return status.ok() ? SQLITE_OK : Fail(ReadErrorCode(status), status);
}

void VolumeFile::CopyOut(PageNo page, std::string_view image, uint32_t offset, char* to,
                         uint32_t bytes) {
  std::memcpy(to, image.data() + offset, bytes);
  const bool is_own = overlay_.Find(page) != nullptr;  // then it has the pager's counter already
  if (page == kPageOne && !is_own) PatchChangeCounter(to, offset, bytes, counter_);
}

int VolumeFile::Read(char* to, int bytes, int64_t offset) {
  if (lock_level_ != SQLITE_LOCK_NONE) return ReadLocked(to, bytes, offset);
  if (const int rc = Lock(SQLITE_LOCK_SHARED); rc != SQLITE_OK) return rc;
  const int rc = ReadLocked(to, bytes, offset);
  Unlock(SQLITE_LOCK_NONE);
  return rc;
}

int VolumeFile::ReadLocked(char* to, int bytes, int64_t offset) {
  int64_t size = 0;
  if (const int rc = Size(&size); rc != SQLITE_OK) return rc;
  const int64_t end = std::min<int64_t>(offset + bytes, size);
  int64_t at = offset;
  while (at < end) {
    const PageNo page(static_cast<uint64_t>(at) / page_bytes_);
    const uint32_t within = static_cast<uint32_t>(at % page_bytes_);
    const uint32_t n = static_cast<uint32_t>(std::min<int64_t>(page_bytes_ - within, end - at));
    if (const std::string* own = overlay_.Find(page); own != nullptr) {
      CopyOut(page, *own, within, to + (at - offset), n);
    } else if (page == kPageOne && page_one_ != nullptr && page_one_lsn_ == read_point_) {
      CopyOut(page, page_one_->bytes, within, to + (at - offset), n);
    } else {
      const absl::StatusOr<compute::PageRef> ref = ReadVersion(page);
      if (!ref.ok()) return Fail(ReadErrorCode(ref.status()), ref.status());
      CopyOut(page, (*ref)->bytes, within, to + (at - offset), n);
    }
    at += n;
  }
  if (at == offset + bytes) return SQLITE_OK;
  std::memset(to + (at - offset), 0, offset + bytes - at);
  return SQLITE_IOERR_SHORT_READ;
}

int VolumeFile::Fetch(int64_t offset, int bytes, void** page) {
  *page = nullptr;  // "use xRead"
  const PageNo number(static_cast<uint64_t>(offset) / page_bytes_);
  if (lock_level_ == SQLITE_LOCK_NONE || bytes != static_cast<int>(page_bytes_) ||
      offset % page_bytes_ != 0 || number == kPageOne || overlay_.Find(number) != nullptr) {
    return SQLITE_OK;
  }
  int64_t size = 0;
  if (const int rc = Size(&size); rc != SQLITE_OK) return rc;
  if (offset + bytes > size) return SQLITE_OK;
  absl::StatusOr<compute::PageRef> ref = ReadVersion(number);
  if (!ref.ok()) return Fail(ReadErrorCode(ref.status()), ref.status());
  const char* data = (*ref)->bytes.data();
  *page = const_cast<char*>(data);  // SQLite never writes to a fetched page
  for (auto pin = pins_.rbegin(); pin != pins_.rend(); ++pin) {
    if (pin->ref->bytes.data() != data) continue;
    ++pin->count;
    return SQLITE_OK;
  }
  pins_.push_back({*std::move(ref), 1});
  return SQLITE_OK;
}

int VolumeFile::Unfetch(void* page) {
  if (page == nullptr) return SQLITE_OK;  // "everything may have changed": nothing is pinned by it
  for (auto pin = pins_.rbegin(); pin != pins_.rend(); ++pin) {
    if (pin->ref->bytes.data() != page) continue;
    if (--pin->count == 0) {
      std::swap(*pin, pins_.back());
      pins_.pop_back();
    }
    return SQLITE_OK;
  }
  SEXTANT_CHECK(false) << "a page was released that is not pinned";
  return SQLITE_OK;
}

int VolumeFile::Control(int op, void* argument) {
  switch (op) {
    case kFcntlVolumeFile:
      *static_cast<VolumeFile**>(argument) = this;
      return SQLITE_OK;
    case SQLITE_FCNTL_SYNC:
      return PrepareCommit();
    case SQLITE_FCNTL_COMMIT_PHASETWO:
      return PublishCommit();
    case SQLITE_FCNTL_PRAGMA:
      return Pragma(static_cast<char**>(argument));
    default:
      return SQLITE_NOTFOUND;
  }
}

int VolumeFile::Pragma(char** argument) {
  if (!are_pragmas_locked_) return SQLITE_NOTFOUND;
  const PragmaVerdict verdict = JudgePragma(argument[1], argument[2]);
  if (verdict.kind == PragmaVerdict::kPass) return SQLITE_NOTFOUND;
  argument[0] = sqlite3_mprintf("%s", verdict.text.c_str());
  return verdict.kind == PragmaVerdict::kAnswer ? SQLITE_OK : SQLITE_ERROR;
}

}  // namespace sextant::sql
