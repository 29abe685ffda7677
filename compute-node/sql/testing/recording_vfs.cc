// See recording_vfs.h.
#include "compute-node/sql/testing/recording_vfs.h"

#include <sqlite3.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::sql {
namespace {

constexpr int kPageBytes = 4096;

struct FileHandle {
  sqlite3_file base;
  RecordingVfs* recorder;
  sqlite3_file* inner;  // behind this struct, in the same allocation
};

FileHandle* Of(sqlite3_file* file) { return reinterpret_cast<FileHandle*>(file); }
const sqlite3_io_methods& Inner(sqlite3_file* file) { return *Of(file)->inner->pMethods; }
void Record(sqlite3_file* file, std::string call) { Of(file)->recorder->Record(std::move(call)); }

const char* LevelName(int level) {
  constexpr const char* kNames[] = {"NONE", "SHARED", "RESERVED", "PENDING", "EXCLUSIVE"};
  return kNames[level];
}

// Whole pages by number; parts with their place.
std::string Place(int bytes, sqlite3_int64 at) {
  if (bytes == kPageBytes && at % kPageBytes == 0) return Text(at / kPageBytes + 1);
  return Text(bytes, "@", at);
}

int Control(sqlite3_file* f, int op, void* argument) {
  if (op == SQLITE_FCNTL_SYNC) Record(f, "SYNC");
  if (op == SQLITE_FCNTL_COMMIT_PHASETWO) Record(f, "PHASETWO");
  return Inner(f).xFileControl(Of(f)->inner, op, argument);
}

const sqlite3_io_methods kMethods = {
    .iVersion = 3,
    .xClose = [](sqlite3_file* f) { return Inner(f).xClose(Of(f)->inner); },
    .xRead =
        [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
          Record(f, Text("Read ", Place(n, at)));
          return Inner(f).xRead(Of(f)->inner, to, n, at);
        },
    .xWrite =
        [](sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
          Record(f, Text("Write ", Place(n, at)));
          return Inner(f).xWrite(Of(f)->inner, from, n, at);
        },
    .xTruncate =
        [](sqlite3_file* f, sqlite3_int64 bytes) {
          Record(f, Text("Truncate ", bytes / kPageBytes));
          return Inner(f).xTruncate(Of(f)->inner, bytes);
        },
    .xSync =
        [](sqlite3_file* f, int flags) {
          Record(f, "xSync");
          return Inner(f).xSync(Of(f)->inner, flags);
        },
    .xFileSize =
        [](sqlite3_file* f, sqlite3_int64* bytes) {
          Record(f, "FileSize");
          return Inner(f).xFileSize(Of(f)->inner, bytes);
        },
    .xLock =
        [](sqlite3_file* f, int level) {
          Record(f, Text("Lock ", LevelName(level)));
          return Inner(f).xLock(Of(f)->inner, level);
        },
    .xUnlock =
        [](sqlite3_file* f, int level) {
          Record(f, Text("Unlock ", LevelName(level)));
          return Inner(f).xUnlock(Of(f)->inner, level);
        },
    .xCheckReservedLock = [](sqlite3_file* f,
                             int* out) { return Inner(f).xCheckReservedLock(Of(f)->inner, out); },
    .xFileControl = Control,
    .xSectorSize = [](sqlite3_file* f) { return Inner(f).xSectorSize(Of(f)->inner); },
    .xDeviceCharacteristics =
        [](sqlite3_file* f) { return Inner(f).xDeviceCharacteristics(Of(f)->inner); },
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch =
        [](sqlite3_file* f, sqlite3_int64 at, int n, void** page) {
          const int rc = Inner(f).xFetch(Of(f)->inner, at, n, page);
          Record(f, Text(*page != nullptr ? "Fetch " : "NoFetch ", Place(n, at)));
          return rc;
        },
    .xUnfetch =
        [](sqlite3_file* f, sqlite3_int64 at, void* page) {
          if (page != nullptr) Record(f, Text("Unfetch ", Place(kPageBytes, at)));
          return Inner(f).xUnfetch(Of(f)->inner, at, page);
        },
};

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* recorder = static_cast<RecordingVfs*>(vfs->pAppData);
  sqlite3_vfs* inner = recorder->inner();
  FileHandle* handle = Of(file);
  handle->base.pMethods = nullptr;
  handle->recorder = recorder;
  handle->inner = reinterpret_cast<sqlite3_file*>(handle + 1);
  const bool is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  if (!is_database) recorder->Record("Open of another file");
  const int rc = inner->xOpen(inner, name, handle->inner, flags, out_flags);
  if (rc == SQLITE_OK) handle->base.pMethods = &kMethods;
  return rc;
}

}  // namespace

RecordingVfs::RecordingVfs(const std::string& inner)
    : name_("recording-" + inner), inner_(sqlite3_vfs_find(inner.c_str())) {
  SEXTANT_CHECK(inner_ != nullptr) << inner;
  vfs_ = std::make_unique<sqlite3_vfs>(
      *inner_);  // what is not recorded goes straight to the inner one
  vfs_->szOsFile += sizeof(FileHandle);
  vfs_->pNext = nullptr;
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->xOpen = Open;
  SEXTANT_CHECK(sqlite3_vfs_register(vfs_.get(), 0) == SQLITE_OK);
}

RecordingVfs::~RecordingVfs() { sqlite3_vfs_unregister(vfs_.get()); }

std::vector<std::string> RecordingVfs::Take() { return std::exchange(calls_, {}); }

}  // namespace sextant::sql
