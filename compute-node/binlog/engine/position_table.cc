// See position_table.h. One row, id 1; source and seq as two u64, little-endian.
#include "compute-node/binlog/engine/position_table.h"

#include <string>

#include "common/base/coding.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/sqlite_statement.h"

namespace sextant::binlog {
namespace {

constexpr int kPositionBytes = 16;

std::string Encode(Gtid gtid) {
  std::string bytes;
  PutFixed64(&bytes, gtid.source.value());
  PutFixed64(&bytes, gtid.seq.value());
  return bytes;
}

}  // namespace

absl::Status CreatePositionTable(sqlite3* db) {
  return Run(db, Text("CREATE TABLE IF NOT EXISTS main.", kPositionTable,
                      "(id INTEGER PRIMARY KEY CHECK(id = 1), gtid BLOB NOT NULL);"
                      "INSERT OR IGNORE INTO main.",
                      kPositionTable, " VALUES(1, zeroblob(", kPositionBytes, "))"));
}

absl::Status WritePosition(sqlite3* db, Gtid gtid) {
  sqlite3_blob* blob = nullptr;
  int rc = sqlite3_blob_open(db, "main", kPositionTable.data(), "gtid", 1, 1, &blob);
  if (rc == SQLITE_OK) {
    rc = sqlite3_blob_write(blob, Encode(gtid).data(), kPositionBytes, 0);
  }
  const int closed = sqlite3_blob_close(blob);
  if (rc == SQLITE_OK) rc = closed;
  return rc == SQLITE_OK ? absl::OkStatus() : SqliteError(db, "storing the binlog position");
}

absl::StatusOr<Gtid> ReadPosition(sqlite3* db) {
  ASSIGN_OR_RETURN(const StatementPtr stmt,
                   Prepare(db, Text("SELECT gtid FROM main.", kPositionTable, " WHERE id = 1")));
  if (sqlite3_step(stmt.get()) != SQLITE_ROW) return SqliteError(db, "reading the binlog position");
  std::string_view bytes(static_cast<const char*>(sqlite3_column_blob(stmt.get(), 0)),
                         static_cast<size_t>(sqlite3_column_bytes(stmt.get(), 0)));
  uint64_t source = 0, seq = 0;
  if (!GetFixed64(&bytes, &source) || !GetFixed64(&bytes, &seq) || !bytes.empty()) {
    return absl::DataLossError(Text("table ", kPositionTable, " holds no position"));
  }
  return Gtid{SourceId(source), TxnSeq(seq)};
}

}  // namespace sextant::binlog
