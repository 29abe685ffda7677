// The write side of VolumeFile: the overlay's life from xLock(RESERVED) to its commit or its end.
//
// What may fail, fails in FCNTL_SYNC: there SQLite rolls back cleanly, and BUSY even leaves the
// transaction open for another COMMIT. In COMMIT_PHASETWO only an IOERR is safe: after any other
// code SQLite would go on to show the pages of a commit that never was.
#include <sqlite3.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/sql/page_one.h"
#include "compute-node/sql/volume_file.h"

namespace sextant::sql {
namespace {

// RESOURCE_EXHAUSTED keeps the transaction for a later COMMIT; everything else rolls back.
int AppendErrorCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return SQLITE_BUSY;
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kInvalidArgument:
      return SQLITE_FULL;
    default:
      return SQLITE_IOERR_WRITE;
  }
}

}  // namespace

int VolumeFile::BecomeWriter() {
  if (!holds_ticket_) {
    return Fail(SQLITE_BUSY, absl::AbortedError("this connection does not hold the write ticket"));
  }
  if (volume_.head() > read_point_) {
    return Fail(
        SQLITE_BUSY_SNAPSHOT,
        absl::AbortedError(Text("others committed since this transaction's snapshot at LSN ",
                                read_point_, ": roll back and start over with BEGIN")));
  }
  int64_t bytes = 0;
  if (const int rc = Size(&bytes); rc != SQLITE_OK) return rc;
  if (!vfs_->TryBecomeWriter(this)) {
    return Fail(SQLITE_BUSY, absl::AbortedError("another connection is writing"));
  }
  overlay_.Open(static_cast<uint64_t>(bytes) / page_bytes_);
  if (view_ != nullptr) vfs_->PrefetchBeyond(*view_, overlay_.size_pages());
  return SQLITE_OK;
}

void VolumeFile::EndWrite() {
  // Never show a counter again that the pager wrote into a page one which was not published.
  if (const std::string* page_one = overlay_.Find(kPageOne); page_one != nullptr) {
    counter_ = ReadBigEndian32(page_one->data() + kChangeCounterOffset) + 1;
  }
  overlay_.Drop();
  vfs_->StopWriting(this);
}

int VolumeFile::Write(const char* from, int bytes, int64_t offset) {
  if (!overlay_.is_open() || bytes != static_cast<int>(page_bytes_) || offset % page_bytes_ != 0) {
    return Fail(SQLITE_IOERR_WRITE,
                absl::InternalError(Text("unexpected write of ", bytes, " bytes at ", offset)));
  }
  overlay_.Put(PageNo(static_cast<uint64_t>(offset) / page_bytes_), std::string_view(from, bytes));
  return SQLITE_OK;
}

int VolumeFile::Truncate(int64_t bytes) {
  if (!overlay_.is_open()) return SQLITE_OK;
  overlay_.Truncate((static_cast<uint64_t>(bytes) + page_bytes_ - 1) / page_bytes_);
  return SQLITE_OK;
}

int VolumeFile::PrepareCommit() {
  if (!overlay_.is_open() || overlay_.is_empty()) return SQLITE_OK;
  // Beyond the volume's end there is no base to read: the volume grows first, if it may.
  const PageNo last(overlay_.size_pages() - 1);
  if (absl::Status room = volume_.CheckAppend(0, {last}); !room.ok()) {
    const int code = AppendErrorCode(room);
    return Fail(code, std::move(room));
  }
  const absl::StatusOr<const compute::ReadView*> view = View();
  if (!view.ok()) return Fail(SQLITE_IOERR_READ, view.status());
  if (absl::Status status = overlay_.ResolveBases(volume_, **view); !status.ok()) {
    return Fail(SQLITE_IOERR_READ, std::move(status));
  }
  const WriteOverlay::Redo redo = overlay_.Estimate();
  if (absl::Status status = volume_.CheckAppend(redo.bytes, redo.pages); !status.ok()) {
    const int code = AppendErrorCode(status);
    return Fail(code, std::move(status));
  }
  return SQLITE_OK;
}

int VolumeFile::PublishCommit() {
  if (!overlay_.is_open() || overlay_.is_empty()) return SQLITE_OK;
  // The pager has bumped the counter that it was shown and remembers the new one.
  if (const std::string* page_one = overlay_.Find(kPageOne); page_one != nullptr) {
    counter_ = ReadBigEndian32(page_one->data() + kChangeCounterOffset);
  }
  std::vector<compute::PageWrite> writes = overlay_.Take();
  if (!writes.empty()) {
    absl::StatusOr<Lsn> commit = volume_.Append(std::move(writes));
    if (!commit.ok()) return Fail(SQLITE_IOERR_WRITE, commit.status());
    read_point_ = *commit;
    last_commit_ = *commit;
    position_ = *commit;
  }
  counter_lsn_ = read_point_;
  return SQLITE_OK;
}

}  // namespace sextant::sql
