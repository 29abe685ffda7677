// The RocksDB options of a storage node, in one place with the reason for each. Internal to store/.
#pragma once

#include <vector>

#include "rocksdb/db.h"
#include "storage-node/store/rocksdb_store.h"

namespace sextant::storage {

// Order of the column families in Families() and of the handles after opening.
enum Family { kDefault, kMeta, kHighWater, kLog, kPages };

// Takes note of background errors (a failed flush or compaction), which RocksDB would else retry.
rocksdb::DBOptions DatabaseOptions(const RocksDbStoreOptions& options, bool create,
                                   std::shared_ptr<rocksdb::EventListener> listener);
// After write-ahead logs were rewritten: they are not as the manifest says.
void AllowRewrittenLogs(rocksdb::DBOptions* db);
// So that a database opens that has damaged tables, to read the others.
void OpenWhatCanBeRead(rocksdb::DBOptions* db);
std::vector<rocksdb::ColumnFamilyDescriptor> Families(const RocksDbStoreOptions& options);

}  // namespace sextant::storage
