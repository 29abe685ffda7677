// Transactions as the binlog carries them: built with marks to fall back to, read whole. Core.
//
// While a transaction runs, rows are captured that a failed statement or ROLLBACK TO undoes later:
// Mark() remembers where the builder stands, TruncateTo() forgets what came after.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compute-node/binlog/log/event.h"
#include "compute-node/binlog/log/gtid.h"

namespace sextant::binlog {

class TransactionBuilder {
 public:
  // A place to come back to; of this transaction only.
  struct Mark {
    size_t bytes = 0;
    uint64_t events = 0;
    size_t tables = 0;
  };

  bool is_empty() const { return events_ == 0; }
  size_t bytes() const { return body_.size(); }
  Mark mark() const { return {body_.size(), events_, tables_.size()}; }
  void TruncateTo(const Mark& mark);
  void Clear() { TruncateTo({}); }
  // The events added since, encoded.
  std::string_view BytesSince(const Mark& mark) const {
    return std::string_view(body_).substr(mark.bytes);
  }

  // The index of the table in this transaction; adds its Table event where it is new, or where its
  // shape has changed since.
  uint64_t TableIndex(std::string_view name, bool has_rowid, uint64_t columns);
  const std::string& TableName(uint64_t index) const { return tables_.at(index).name; }
  // A Row event whose body is encoded already (docs/FORMATS.md), or given whole.
  void AddRow(const RowEvent& row) { Add(row); }
  void AddStatement(std::string_view sql) { Add(StatementEvent{sql}); }
  void AddSequence(const SequenceEvent& sequence) { Add(sequence); }

  // The whole transaction's bytes; the builder is empty again.
  std::string Seal(Gtid gtid, uint64_t commit_micros);

 private:
  struct Table {
    std::string name;
    bool has_rowid;
    uint64_t columns;
  };

  void Add(const Event& event);

  std::string body_;
  uint64_t events_ = 0;
  std::vector<Table> tables_;
};

// One transaction inside somebody else's bytes, verified.
struct TransactionView {
  GtidEvent header;
  std::string_view bytes;     // all of it, as it is stored and sent
  std::vector<Event> events;  // between Gtid and Commit
};

// Takes one transaction from the front of *in. Errors as of DecodeEvent; DATA_LOSS too where the
// events are no transaction (no Gtid first, a row of an unknown table, a wrong count). On an error
// *in is as it was.
absl::StatusOr<TransactionView> DecodeTransaction(std::string_view* in);

}  // namespace sextant::binlog
