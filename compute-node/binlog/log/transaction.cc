// See transaction.h.
#include "compute-node/binlog/log/transaction.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

absl::Status Nonsense(Gtid gtid, std::string_view what) {
  return absl::DataLossError(Text("binlog transaction ", FormatGtid(gtid), ": ", what));
}

// What may stand between Gtid and Commit, and whether rows fit the tables before them.
class ContentCheck {
 public:
  bool Accepts(const Event& event) {
    if (const auto* table = std::get_if<TableEvent>(&event)) {
      tables_.push_back({table->has_rowid, table->columns});
      return table->index + 1 == tables_.size();
    }
    if (const auto* row = std::get_if<RowEvent>(&event)) {
      if (row->table >= tables_.size()) return false;
      const auto [has_rowid, columns] = tables_[row->table];
      const bool fits_before = row->op == RowOp::kInsert || row->before.size() == columns;
      const bool fits_after = row->op == RowOp::kDelete || row->after.size() == columns;
      return row->has_rowid == has_rowid && fits_before && fits_after;
    }
    return std::holds_alternative<StatementEvent>(event) ||
           std::holds_alternative<SequenceEvent>(event);
  }

 private:
  std::vector<std::pair<bool, uint64_t>> tables_;
};

}  // namespace

void TransactionBuilder::TruncateTo(const Mark& mark) {
  SEXTANT_CHECK(mark.bytes <= body_.size() && mark.tables <= tables_.size())
      << "a mark of another transaction";
  body_.resize(mark.bytes);
  events_ = mark.events;
  tables_.erase(tables_.begin() + static_cast<ptrdiff_t>(mark.tables), tables_.end());
}

void TransactionBuilder::Add(const Event& event) {
  EncodeEvent(event, &body_);
  ++events_;
}

uint64_t TransactionBuilder::TableIndex(std::string_view name, bool has_rowid, uint64_t columns) {
  for (size_t i = tables_.size(); i-- > 0;) {
    const Table& table = tables_[i];
    if (table.name != name) continue;
    if (table.has_rowid == has_rowid && table.columns == columns) return i;
    break;  // the schema has changed in this transaction
  }
  tables_.push_back({std::string(name), has_rowid, columns});
  const uint64_t index = tables_.size() - 1;
  Add(TableEvent{.index = index, .has_rowid = has_rowid, .columns = columns, .name = name});
  return index;
}

std::string TransactionBuilder::Seal(Gtid gtid, uint64_t commit_micros) {
  EncodeEvent(CommitEvent{.events = events_}, &body_);
  std::string whole;
  whole.reserve(body_.size() + 64);
  EncodeEvent(GtidEvent{.gtid = gtid, .commit_micros = commit_micros, .body_bytes = body_.size()},
              &whole);
  whole += body_;
  Clear();
  return whole;
}

absl::StatusOr<TransactionView> DecodeTransaction(std::string_view* in) {
  std::string_view rest = *in;
  ASSIGN_OR_RETURN(const Event first, DecodeEvent(&rest));
  const auto* header = std::get_if<GtidEvent>(&first);
  if (header == nullptr) return absl::DataLossError("a binlog transaction begins with no Gtid");
  TransactionView transaction{.header = *header};
  if (header->body_bytes > rest.size()) {
    return absl::OutOfRangeError("cut short in a binlog transaction");
  }
  const size_t total = in->size() - rest.size() + header->body_bytes;
  std::string_view body = rest.substr(0, header->body_bytes);
  ContentCheck check;
  for (;;) {
    absl::StatusOr<Event> event = DecodeEvent(&body);
    // The whole body is here: an event that needs more is damage.
    if (!event.ok()) return Nonsense(header->gtid, View(event.status().message()));
    if (const auto* commit = std::get_if<CommitEvent>(&*event)) {
      if (commit->events != transaction.events.size() || !body.empty()) {
        return Nonsense(header->gtid, "its commit does not count its events");
      }
      break;
    }
    if (!check.Accepts(*event)) return Nonsense(header->gtid, "an event out of place");
    transaction.events.push_back(*std::move(event));
  }
  transaction.bytes = in->substr(0, total);
  in->remove_prefix(total);
  return transaction;
}

}  // namespace sextant::binlog
