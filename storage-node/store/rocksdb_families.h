// Which column families a database has. A family that was rewritten goes by another name: "pages",
// then "pages.1" and so on. Internal to store/.
#pragma once

#include <string>
#include <vector>

#include "rocksdb/db.h"
#include "storage-node/store/rocksdb_store_impl.h"

namespace sextant::storage {

// The next name of a family that is rewritten.
std::string NextFamilyName(const std::string& name);

// Opens with all families there are. Where one has two names a rewrite was broken off: the older
// one stands and the newer goes.
rocksdb::Status OpenFamilies(const rocksdb::DBOptions& db,
                             const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted,
                             const std::string& path, RocksDatabase* database);

}  // namespace sextant::storage
