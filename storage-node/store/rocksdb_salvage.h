// What a start makes of damaged files of RocksDB, so that the node comes back by itself: three ways
// in, each for what the one before cannot open. Internal to store/.
//
//   - a damaged write-ahead log is written anew with its whole records (wal_salvage.h);
//   - table files: all are verified; each column family with a damaged one is copied, as far as it
//     can be read, into a new family that takes its place. A lost batch shows as a gap below the
//     high-water mark. For each page that lies, or may lie, in a damaged part an unreadable version
//     is left, since what was damaged must not look absent;
//   - whatever is worse (the manifest, damage all over): everything but states and marks is given
//     up, and every segment begins anew: damaged, its log from LSN 0 on to be fetched from peers,
//     its pages too.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "rocksdb/options.h"
#include "storage-node/store/repair_mark.h"
#include "storage-node/store/rocksdb_store_impl.h"
#include "storage-node/store/witness.h"

namespace sextant::storage {

// What a damaged write-ahead log and tables of high-water marks still say of them, whatever becomes
// of the records around them: the witness may lag behind that.
void RaiseByRawMarks(rocksdb::Env* env, const std::string& store_path, Witness* witness);

// Rewrites the damaged ones among the write-ahead log files. With the database closed, and locked.
absl::Status SalvageWriteAheadLogs(rocksdb::Env* env, const std::string& store_path);

// With the database closed and the mark set. DATA_LOSS: give the tables up.
absl::Status SalvageTables(const RocksDbStoreOptions& options, const std::string& store_path,
                           const absl::StatusOr<Witness>& witness);

// Sets the mark to kBeginAnew and removes the files.
absl::Status GiveTablesUp(const std::string& store_path, RepairMark* mark);

// Every segment counts as damaged, with nothing of its log or pages there.
void BeginSegmentsAnew(Witness* contents);

}  // namespace sextant::storage
