// See describe.h.
#include "compute-node/binlog/log/describe.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "x'";
  for (const unsigned char byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text + "'";
}

bool IsPrintable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte >= 0x7f;
  });
}

std::string List(const Image& image) {
  std::string text;
  for (const Value& value : image) text += (text.empty() ? "" : ", ") + DescribeValue(value);
  return text;
}

std::string DescribeRow(const RowEvent& row, std::string_view table) {
  const auto half = [&](int64_t rowid, const Image& image) {
    return row.has_rowid ? Text(" rowid ", rowid, ": ", List(image)) : Text(": ", List(image));
  };
  switch (row.op) {
    case RowOp::kInsert:
      return Text("insert ", table, half(row.rowid_after, row.after));
    case RowOp::kUpdate:
      return Text("update ", table, half(row.rowid_before, row.before), " ->",
                  half(row.rowid_after, row.after));
    case RowOp::kDelete:
      return Text("delete ", table, half(row.rowid_before, row.before));
  }
  return "";
}

}  // namespace

std::string DescribeValue(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return Text(*integer);
  if (const auto* real = std::get_if<double>(&value)) return absl::StrFormat("%.17g", *real);
  if (const auto* blob = std::get_if<BlobValue>(&value)) return Hex(blob->bytes);
  const auto* text = std::get_if<TextValue>(&value);
  if (text == nullptr) return "NULL";
  if (!IsPrintable(text->bytes)) return Text("CAST(", Hex(text->bytes), " AS TEXT)");
  std::string quoted = "'";
  for (const char c : text->bytes) {
    if (c == '\'') quoted.push_back('\'');
    quoted.push_back(c);
  }
  return quoted + "'";
}

std::string Describe(const TransactionView& transaction) {
  const GtidEvent& header = transaction.header;
  std::string text =
      Text(FormatGtid(header.gtid), "  ",
           absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ",
                            absl::FromUnixMicros(static_cast<int64_t>(header.commit_micros)),
                            absl::UTCTimeZone()),
           "  ", transaction.bytes.size(), " bytes\n");
  std::vector<std::string_view> tables;
  for (const Event& event : transaction.events) {
    if (const auto* table = std::get_if<TableEvent>(&event)) {
      tables.push_back(table->name);
    } else if (const auto* row = std::get_if<RowEvent>(&event)) {
      text += Text("  ", DescribeRow(*row, tables[row->table]), "\n");
    } else if (const auto* statement = std::get_if<StatementEvent>(&event)) {
      text += Text("  ", statement->sql, "\n");
    } else if (const auto* sequence = std::get_if<SequenceEvent>(&event)) {
      text += Text("  sequence ", sequence->table, ": ",
                   sequence->before ? DescribeValue(*sequence->before) : "none", " -> ",
                   sequence->after ? DescribeValue(*sequence->after) : "none", "\n");
    }
  }
  return text;
}

}  // namespace sextant::binlog
