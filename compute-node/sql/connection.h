// Connection: one SQLite connection on a volume, opened the only way that is safe there.
//
// journal_mode=MEMORY, synchronous=OFF, cache_spill=OFF, pages through xFetch, and everything that
// would let SQL leave the volume closed off: no other file is attached, no extension loaded,
// PRAGMAs that change these settings are refused (pragma_policy.h).
//
// Thread-safety: none; used by one thread at a time (SQLite without its mutexes).
#pragma once

#include <sqlite3.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "compute-node/sql/statement_cache.h"
#include "compute-node/sql/volume_file.h"

namespace sextant::sql {

struct ConnectionOptions {
  // Private page cache; clean pages are shared by all connections, so this is for a transaction's
  // own.
  int cache_kib = 1024;
  size_t cached_statements = 64;
  int max_value_bytes = 64 << 20;  // a string, blob or row
  int max_sql_bytes = 16 << 20;
  // Memory for one transaction's changed pages and for temporary tables, about.
  int64_t max_memory_bytes = 1ll << 30;
};

// Why a running statement was stopped.
enum class StopReason { kNone, kCancelled, kOutOfMemory };

class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Open(VolumeVfs& vfs,
                                                          const ConnectionOptions& options);
  // A connection to another kind of database, set up by the caller but for what every session's
  // needs: limits, authorizer, interruption. Owns both, whatever comes of it.
  static std::unique_ptr<Connection> Adopt(sqlite3* db, std::unique_ptr<SessionFile> file,
                                           const ConnectionOptions& options);
  ~Connection();

  sqlite3* db() const { return db_; }
  SessionFile& file() const { return *file_; }
  StatementCache& statements() { return *statements_; }

  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  // Between BEGIN IMMEDIATE or a first write, and the end of the transaction.
  bool in_write_transaction() const { return sqlite3_txn_state(db_, "main") == SQLITE_TXN_WRITE; }
  // Whether statements so far left something that the next user of this connection would notice:
  // settings, temporary objects, attached databases.
  bool is_tainted() const { return is_tainted_; }

  // Asked now and then while a statement runs: true stops it with SQLITE_INTERRUPT. Set it once.
  void SetCancelled(std::function<bool()> is_cancelled) { is_cancelled_ = std::move(is_cancelled); }
  // Why the last SQLITE_INTERRUPT came, once.
  StopReason TakeStopReason() { return std::exchange(stop_reason_, StopReason::kNone); }

 private:
  Connection() = default;
  void SetUp(const ConnectionOptions& options);
  absl::Status Configure(VolumeFile* file, const ConnectionOptions& options, uint32_t page_bytes);
  absl::Status Run(const std::string& sql);
  static int Authorize(void* self, int action, const char* a, const char* b, const char* database,
                       const char* trigger);
  static int Progress(void* self);

  sqlite3* db_ = nullptr;
  SessionFile* file_ = nullptr;
  std::unique_ptr<SessionFile> owned_file_;  // where SQLite does not own it
  std::unique_ptr<StatementCache> statements_;
  std::function<bool()> is_cancelled_;
  StopReason stop_reason_ = StopReason::kNone;
  int64_t max_memory_bytes_ = 0;
  bool is_tainted_ = false;
};

}  // namespace sextant::sql
