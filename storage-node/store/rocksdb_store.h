// RocksDbStore: the SegmentStore of a real storage node, one RocksDB per data directory.
//
// Column families: log (batches), high_water, meta (segment states), pages (versions, written
// without the write-ahead log: while the redo log is kept they can be made again). One Commit is
// one WriteBatch and one sync. Keys, values and options: docs/FORMATS.md, "Storage node directory".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage-node/store/segment_store.h"

namespace rocksdb {
class Env;
}

namespace sextant::storage {

struct RocksDbStoreOptions {
  std::string directory;
  std::string node;  // the directory must be this node's
  std::string zone;
  uint64_t block_cache_bytes = 64ull << 20;
  uint64_t log_memtable_bytes = 32ull << 20;  // up to three of them, of each kind
  uint64_t page_memtable_bytes = 16ull << 20;
  uint64_t max_wal_bytes = 256ull << 20;  // beyond this the oldest memtables are flushed
  // Commit is refused (RESOURCE_EXHAUSTED) when less than this would be left: room for the work
  // that must not fail, flushing memtables and compaction.
  uint64_t disk_reserve_bytes = 64ull << 20;

  rocksdb::Env* env = nullptr;           // null: the default one. Tests inject faults here.
  std::function<uint64_t()> free_bytes;  // empty: ask the file system
};

// Opens or makes the directory. FAILED_PRECONDITION: the directory is somebody else's, nothing was
// touched. UNAVAILABLE: in use by another process, or an I/O error. DATA_LOSS: its files are
// too damaged
// to be opened. Lesser damage is logged, and is told by the high-water marks (witness.h).
absl::StatusOr<std::unique_ptr<SegmentStore>> OpenRocksDbStore(const RocksDbStoreOptions& options);

}  // namespace sextant::storage
