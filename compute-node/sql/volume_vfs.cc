// See volume_vfs.h. The C side of the VFS: it forwards to VolumeFile, or to the "unix" VFS.
#include "compute-node/sql/volume_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/sql/volume_file.h"

namespace sextant::sql {
namespace {

// What SQLite allocates for a file of ours; one of a temporary file is the unix VFS's.
struct FileHandle {
  sqlite3_file base;
  VolumeFile* file;
};

VolumeFile& Of(sqlite3_file* handle) { return *reinterpret_cast<FileHandle*>(handle)->file; }

int Close(sqlite3_file* handle) {
  delete reinterpret_cast<FileHandle*>(handle)->file;
  return SQLITE_OK;
}

// iVersion 3 without shared memory: xFetch, and no WAL.
const sqlite3_io_methods kMethods = {
    .iVersion = 3,
    .xClose = Close,
    .xRead = [](sqlite3_file* f, void* to, int n,
                sqlite3_int64 at) { return Of(f).Read(static_cast<char*>(to), n, at); },
    .xWrite = [](sqlite3_file* f, const void* from, int n,
                 sqlite3_int64 at) { return Of(f).Write(static_cast<const char*>(from), n, at); },
    .xTruncate = [](sqlite3_file* f, sqlite3_int64 bytes) { return Of(f).Truncate(bytes); },
    .xSync = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xFileSize =
        [](sqlite3_file* f, sqlite3_int64* bytes) {
          int64_t size = 0;
          const int rc = Of(f).Size(&size);
          *bytes = size;
          return rc;
        },
    .xLock = [](sqlite3_file* f, int level) { return Of(f).Lock(level); },
    .xUnlock = [](sqlite3_file* f, int level) { return Of(f).Unlock(level); },
    .xCheckReservedLock = [](sqlite3_file* f, int* out) { return Of(f).CheckReservedLock(out); },
    .xFileControl = [](sqlite3_file* f, int op, void* arg) { return Of(f).Control(op, arg); },
    .xSectorSize = [](sqlite3_file*) { return 4096; },
    .xDeviceCharacteristics =
        [](sqlite3_file*) {
          return SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
        },
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = [](sqlite3_file* f, sqlite3_int64 at, int n,
                 void** page) { return Of(f).Fetch(at, n, page); },
    .xUnfetch = [](sqlite3_file* f, sqlite3_int64, void* page) { return Of(f).Unfetch(page); },
};

sqlite3_vfs* Unix() {
  static sqlite3_vfs* const unix_vfs = sqlite3_vfs_find("unix");
  return unix_vfs;
}

constexpr int kTemporaryFlags = SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB |
                                SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL;

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* handle, int flags, int* out_flags) {
  if (name == nullptr || (flags & kTemporaryFlags) != 0) {
    return Unix()->xOpen(Unix(), name, handle, flags, out_flags);
  }
  handle->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return SQLITE_CANTOPEN;
  auto* file = new (std::nothrow) VolumeFile(static_cast<VolumeVfs*>(vfs->pAppData));
  if (file == nullptr) return SQLITE_NOMEM;
  reinterpret_cast<FileHandle*>(handle)->file = file;
  handle->pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int FullPathname(sqlite3_vfs*, const char* name, int bytes, char* out) {
  if (static_cast<int>(std::strlen(name)) >= bytes) return SQLITE_CANTOPEN;
  std::strcpy(out, name);
  return SQLITE_OK;
}

sqlite3_vfs MakeVfs(const char* name, VolumeVfs* owner) {
  return {
      .iVersion = 2,
      .szOsFile = std::max<int>(Unix()->szOsFile, sizeof(FileHandle)),
      .mxPathname = 512,
      .pNext = nullptr,
      .zName = name,
      .pAppData = owner,
      .xOpen = Open,
      // No journal or WAL of the volume ever exists.
      .xDelete = [](sqlite3_vfs*, const char*, int) { return SQLITE_OK; },
      .xAccess =
          [](sqlite3_vfs*, const char*, int, int* out) {
            *out = 0;
            return SQLITE_OK;
          },
      .xFullPathname = FullPathname,
      .xDlOpen = [](sqlite3_vfs*, const char*) -> void* { return nullptr; },
      .xDlError =
          [](sqlite3_vfs*, int bytes, char* out) {
            sqlite3_snprintf(bytes, out, "extensions cannot be loaded on a volume");
          },
      .xDlSym = [](sqlite3_vfs*, void*, const char*) -> void (*)() { return nullptr; },
      .xDlClose = [](sqlite3_vfs*, void*) {},
      .xRandomness = [](sqlite3_vfs*, int n,
                        char* out) { return Unix()->xRandomness(Unix(), n, out); },
      .xSleep = [](sqlite3_vfs*, int us) { return Unix()->xSleep(Unix(), us); },
      .xCurrentTime = [](sqlite3_vfs*, double* out) { return Unix()->xCurrentTime(Unix(), out); },
      .xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; },
      .xCurrentTimeInt64 =
          [](sqlite3_vfs*, sqlite3_int64* out) { return Unix()->xCurrentTimeInt64(Unix(), out); },
  };
}

// How far behind the end pages are asked for, and how many at once.
constexpr uint64_t kPrefetchMargin = 16;
constexpr uint64_t kPrefetchPages = 64;

}  // namespace

void InitializeSqlite() {
  static std::once_flag once;
  std::call_once(once, [] {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
                   0);  // refused, harmlessly, if somebody used SQLite before
    SEXTANT_CHECK(sqlite3_initialize() == SQLITE_OK);
  });
}

VolumeVfs::VolumeVfs(compute::PageVolume* volume) : volume_(volume) {
  InitializeSqlite();
  static std::atomic<uint64_t> next{1};
  name_ = Text("sextant-", next.fetch_add(1));
  vfs_ = std::make_unique<sqlite3_vfs>(MakeVfs(name_.c_str(), this));
  SEXTANT_CHECK(sqlite3_vfs_register(vfs_.get(), /*makeDflt=*/0) == SQLITE_OK);
}

VolumeVfs::~VolumeVfs() { sqlite3_vfs_unregister(vfs_.get()); }

bool VolumeVfs::TryBecomeWriter(VolumeFile* file) {
  VolumeFile* nobody = nullptr;
  return writer_.compare_exchange_strong(nobody, file);
}

void VolumeVfs::StopWriting(VolumeFile* file) {
  VolumeFile* expected = file;
  writer_.compare_exchange_strong(expected, nullptr);
}

void VolumeVfs::PrefetchBeyond(const compute::ReadView& view, uint64_t size_pages) {
  const uint64_t done = prefetched_pages_.load(std::memory_order_relaxed);
  if (size_pages + kPrefetchMargin < done) return;
  const uint64_t first = std::max(done, size_pages);
  const uint64_t end = std::min(first + kPrefetchPages, volume_->geometry().PageCount());
  prefetched_pages_.store(end, std::memory_order_relaxed);
  std::vector<PageNo> pages;
  for (uint64_t page = first; page < end; ++page) pages.push_back(PageNo(page));
  if (!pages.empty()) volume_->Prefetch(view, pages);
}

}  // namespace sextant::sql
