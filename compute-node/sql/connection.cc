// See connection.h.
#include "compute-node/sql/connection.h"

#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/sql/page_one.h"
#include "compute-node/sql/pragma_policy.h"

namespace sextant::sql {
namespace {

// Virtual machine steps between two looks at whether to go on: well under a millisecond.
constexpr int kProgressSteps = 4000;

bool IsTainting(int action, const char* second) {
  switch (action) {
    case SQLITE_PRAGMA:
      return second != nullptr;
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
      return true;
    default:
      return false;
  }
}

// SQLite's own complaint when it opens a file is a bare number.
absl::Status CheckDatabase(compute::PageVolume& volume) {
  ASSIGN_OR_RETURN(auto view, volume.OpenView(volume.vdl()));
  ASSIGN_OR_RETURN(const compute::PageRef page_one, volume.ReadPage(*view, kPageOne));
  return CheckPageOne(page_one->bytes, volume.geometry().page_bytes);
}

bool Is(const char* text, std::string_view name) {
  return text != nullptr && sqlite3_stricmp(text, name.data()) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(VolumeVfs& vfs,
                                                             const ConnectionOptions& options) {
  RETURN_IF_ERROR(CheckDatabase(vfs.volume()));
  std::unique_ptr<Connection> connection(new Connection);
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                         SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  const int rc = sqlite3_open_v2("volume", &connection->db_, kFlags, vfs.name().c_str());
  if (rc == SQLITE_OK) {
    VolumeFile* file = nullptr;
    sqlite3_file_control(connection->db_, "main", kFcntlVolumeFile, &file);
    SEXTANT_CHECK(file != nullptr);
    connection->file_ = file;
    RETURN_IF_ERROR(connection->Configure(file, options, vfs.volume().geometry().page_bytes));
    return connection;
  }
  if (rc == SQLITE_NOMEM) return absl::ResourceExhaustedError("no memory for a SQL connection");
  return absl::UnavailableError(Text("cannot read the database: ", sqlite3_errstr(rc)));
}

std::unique_ptr<Connection> Connection::Adopt(sqlite3* db, std::unique_ptr<SessionFile> file,
                                              const ConnectionOptions& options) {
  std::unique_ptr<Connection> connection(new Connection);
  connection->db_ = db;
  connection->owned_file_ = std::move(file);
  connection->file_ = connection->owned_file_.get();
  connection->SetUp(options);
  return connection;
}

Connection::~Connection() {
  statements_.reset();
  owned_file_.reset();  // it may hold statements of its own
  // _v2 would leave a zombie behind where a statement is still open: that would be a bug of ours.
  SEXTANT_CHECK(sqlite3_close(db_) == SQLITE_OK) << sqlite3_errmsg(db_);
}

absl::Status Connection::Run(const std::string& sql) {
  const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (rc == SQLITE_OK) return absl::OkStatus();
  if (absl::Status why = file_->TakeError(); !why.ok()) return why;
  return absl::UnavailableError(Text("setting up a SQL connection: ", sqlite3_errmsg(db_)));
}

void Connection::SetUp(const ConnectionOptions& options) {
  max_memory_bytes_ = options.max_memory_bytes;
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, nullptr);
  sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, options.max_value_bytes);
  sqlite3_limit(db_, SQLITE_LIMIT_SQL_LENGTH, options.max_sql_bytes);
  sqlite3_limit(db_, SQLITE_LIMIT_WORKER_THREADS, 0);
  sqlite3_set_authorizer(db_, &Connection::Authorize, this);
  sqlite3_progress_handler(db_, kProgressSteps, &Connection::Progress, this);
  statements_ = std::make_unique<StatementCache>(db_, options.cached_statements);
}

absl::Status Connection::Configure(VolumeFile* file, const ConnectionOptions& options,
                                   uint32_t page_bytes) {
  RETURN_IF_ERROR(
      Run(Text("PRAGMA page_size=", page_bytes, "; PRAGMA journal_mode=MEMORY;",
               "PRAGMA synchronous=OFF; PRAGMA cache_spill=OFF; PRAGMA secure_delete=OFF;",
               "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-", options.cache_kib, ";",
               // Any size above zero turns xFetch on; the VFS has no window to map.
               "PRAGMA mmap_size=1;")));
  file->LockPragmas();
  file->ForgetPosition();
  SetUp(options);
  return absl::OkStatus();
}

int Connection::Authorize(void* self, int action, const char* a, const char* b,
                          const char* database, const char*) {
  auto* connection = static_cast<Connection*>(self);
  if (IsTainting(action, b)) connection->is_tainted_ = true;
  if (!connection->file_->MayDo(action, a, b, database)) return SQLITE_DENY;
  switch (action) {
    case SQLITE_ATTACH:  // the empty name is a private temporary database; VACUUM attaches one
      return a != nullptr && *a == '\0' ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
      return Is(b, "load_extension") ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
      // Those of "main" are refused by the file, with their reason; some reach further than "temp".
      if (database != nullptr && !Is(database, "main") &&
          JudgePragma(a, b).kind == PragmaVerdict::kRefuse) {
        return SQLITE_DENY;
      }
      return SQLITE_OK;
    default:
      return SQLITE_OK;
  }
}

int Connection::Progress(void* self) {
  auto* connection = static_cast<Connection*>(self);
  if (connection->is_cancelled_ && connection->is_cancelled_()) {
    connection->stop_reason_ = StopReason::kCancelled;
    return 1;
  }
  int used = 0;
  int high = 0;
  sqlite3_db_status(connection->db_, SQLITE_DBSTATUS_CACHE_USED, &used, &high, 0);
  if (used > connection->max_memory_bytes_) {
    connection->stop_reason_ = StopReason::kOutOfMemory;
    return 1;
  }
  return 0;
}

}  // namespace sextant::sql
