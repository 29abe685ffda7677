// See rocksdb_options.h.
#include "storage-node/store/rocksdb_options.h"

#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/table.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

constexpr uint64_t kSmallMemtableBytes = 4ull << 20;

rocksdb::BlockBasedTableOptions TableOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.format_version = 5;
  table.block_size = 16 << 10;
  table.cache_index_and_filter_blocks = true;  // within the bound of the cache
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // The index names the last key of each block, so that the end of a damaged block can be found.
  table.index_shortening = rocksdb::BlockBasedTableOptions::IndexShorteningMode::kNoShortening;
  return table;
}

rocksdb::ColumnFamilyOptions FamilyOptions(uint64_t memtable_bytes,
                                           const rocksdb::BlockBasedTableOptions& table) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = memtable_bytes;
  family.max_write_buffer_number = 3;
  family.compression = rocksdb::kLZ4Compression;
  family.level_compaction_dynamic_level_bytes = true;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

}  // namespace

rocksdb::DBOptions DatabaseOptions(const RocksDbStoreOptions& options, bool create,
                                   std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::DBOptions db;
  if (options.env != nullptr) db.env = options.env;
  db.create_if_missing = create;
  db.create_missing_column_families = create;
  db.paranoid_checks = true;
  // Not the default kPointInTimeRecovery: that stops at a damaged record and forgets what was
  // acknowledged after it. This mode forgives a torn tail only, and refuses to open on damage.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.track_and_verify_wals_in_manifest = true;
  // That mode cannot tell a recycled file's old records from damage.
  db.recycle_log_file_num = 0;
  db.max_total_wal_size = options.max_wal_bytes;
  // No second try after a failed write or sync: the process ends.
  db.max_bgerror_resume_count = 0;
  db.listeners.push_back(std::move(listener));
  db.max_background_jobs = 2;
  db.bytes_per_sync = 1 << 20;  // spreads the write-back of flushes; commits sync beside it
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.max_log_file_size = 4 << 20;
  db.keep_log_file_num = 4;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

void AllowRewrittenLogs(rocksdb::DBOptions* db) {
  db->track_and_verify_wals_in_manifest = false;  // a file may be missing or cut short
}

void OpenWhatCanBeRead(rocksdb::DBOptions* db) {
  AllowRewrittenLogs(db);
  db->paranoid_checks = false;
}

std::vector<rocksdb::ColumnFamilyDescriptor> Families(const RocksDbStoreOptions& options) {
  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  const rocksdb::BlockBasedTableOptions table = TableOptions(cache);
  const auto small = FamilyOptions(kSmallMemtableBytes, table);
  const auto log = FamilyOptions(options.log_memtable_bytes, table);
  // Reads look for the newest version of one page: files without that page are skipped by its
  // prefix.
  rocksdb::BlockBasedTableOptions page_table = table;
  page_table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  page_table.whole_key_filtering = false;
  page_table.block_size = 512;  // every version is its own block: damage to one is damage to one
  auto pages = FamilyOptions(options.page_memtable_bytes, page_table);
  pages.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kPagePrefixBytes));
  pages.memtable_prefix_bloom_size_ratio = 0.05;
  return {{rocksdb::kDefaultColumnFamilyName, small},
          {"meta", small},
          {"high_water", small},
          {"log", log},
          {"pages", pages}};
}

}  // namespace sextant::storage
