// The events of a binlog, and their bytes (docs/FORMATS.md, "Binlog"). Core.
//
// A transaction is Gtid, then any of Table, Row, Statement and Sequence, then Commit. A file is
// Format, transactions, and, once it is closed, Rotate. Every event has its own CRC32C. Decoding is
// strict: one value has one encoding, every byte is used, anything else is an error:
//   OUT_OF_RANGE      the bytes end inside the event: more may be coming, or the tail is torn
//   DATA_LOSS         damaged: the checksum does not match, or the content makes no sense
//   UNIMPLEMENTED     a version or a type of event that this program does not know
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "compute-node/binlog/log/gtid.h"

namespace sextant::binlog {

inline constexpr uint8_t kBinlogVersion = 1;
// Largest body of an event: a row of the largest size, before and after.
inline constexpr uint64_t kMaxEventBytes = 512ull << 20;

// A value of a row, inside somebody else's bytes: what SQLite stores, bit for bit.
struct NullValue {
  bool operator==(const NullValue&) const = default;
};
struct TextValue {
  std::string_view bytes;  // any bytes, NUL and broken UTF-8 included
  bool operator==(const TextValue&) const = default;
};
struct BlobValue {
  std::string_view bytes;
  bool operator==(const BlobValue&) const = default;
};
using Value = std::variant<NullValue, int64_t, double, TextValue, BlobValue>;
using Image = std::vector<Value>;

// First of every file.
struct FormatEvent {
  uint64_t file_number = 0;
  uint64_t created_micros = 0;  // wall clock
  GtidSet before;               // all transactions of the history before this file
  bool operator==(const FormatEvent&) const = default;
};
struct GtidEvent {
  Gtid gtid;
  uint64_t commit_micros = 0;  // wall clock of the source, when it committed
  uint64_t body_bytes = 0;     // of the transaction's events after this one, Commit included
  bool operator==(const GtidEvent&) const = default;
};
// A table, before its first row in a transaction. Indexes count from 0 within the transaction.
struct TableEvent {
  uint64_t index = 0;
  bool has_rowid = true;  // rows are found by rowid; otherwise by the primary key's columns
  uint64_t columns = 0;   // that an image has: in the table's order, without generated
                          // ones and without an INTEGER PRIMARY KEY, which is the rowid
  std::string_view name;
  bool operator==(const TableEvent&) const = default;
};
enum class RowOp : uint8_t { kInsert = 1, kUpdate = 2, kDelete = 3 };
struct RowEvent {
  uint64_t table = 0;
  RowOp op = RowOp::kInsert;
  bool has_rowid = true;                      // as the table
  int64_t rowid_before = 0, rowid_after = 0;  // where has_rowid: of the images that there are
  Image before;                               // update, delete
  Image after;                                // insert, update
  bool operator==(const RowEvent&) const = default;
};
// A change of the schema, as SQL.
struct StatementEvent {
  std::string_view sql;
  bool operator==(const StatementEvent&) const = default;
};
// A table's entry in sqlite_sequence (the highest id that AUTOINCREMENT has given out) before and
// after the transaction; null: there is none.
struct SequenceEvent {
  std::string_view table;
  std::optional<Value> before, after;
  bool operator==(const SequenceEvent&) const = default;
};
struct CommitEvent {
  uint64_t events = 0;  // between Gtid and this one
  bool operator==(const CommitEvent&) const = default;
};
// Last of a closed file.
struct RotateEvent {
  uint64_t next_file_number = 0;
  bool operator==(const RotateEvent&) const = default;
};
using Event = std::variant<FormatEvent, GtidEvent, TableEvent, RowEvent, StatementEvent,
                           SequenceEvent, CommitEvent, RotateEvent>;

// Appends the event's bytes.
void EncodeEvent(const Event& event, std::string* out);
// Takes one event from the front of *in; views point into it. On an error *in is as it was.
absl::StatusOr<Event> DecodeEvent(std::string_view* in);

// Parts of a row, for who has values one by one.
void PutValue(const Value& value, std::string* out);
// Frames an event whose body has been encoded already. `type`: the bytes of docs/FORMATS.md.
enum class EventType : uint8_t {
  kFormat = 1,
  kGtid = 2,
  kTable = 3,
  kRow = 4,
  kStatement = 5,
  kSequence = 6,
  kCommit = 7,
  kRotate = 8,
};
void FrameEvent(EventType type, std::string_view body, std::string* out);

}  // namespace sextant::binlog
