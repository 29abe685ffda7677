// RowPrinter: rows of a result to a stream, in the modes of the sqlite3 shell. No I/O but the
// stream.
//
// list, csv, tabs, quote, insert, json and line print as rows come; table, box, column and markdown
// hold a result until its end, since the widest value sets a column's width.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::cli {

struct PrintOptions {
  std::string mode = "list";
  bool headers = false;  // list, csv, tabs, quote only: the others always or never show names
  std::string separator = "|";  // list only
  // Ends a row in list, csv, tabs and quote mode. As with sqlite3, it is \r\n after `.mode csv`,
  // but not for the flag.
  std::string row_end = "\n";
  std::string null;  // shown for NULL where the mode has no own word for it
  std::string insert_table = "table";
};

class RowPrinter {
 public:
  virtual ~RowPrinter() = default;
  virtual void Begin(const std::vector<std::string>& columns) = 0;
  virtual void Row(const v1::Row& row) = 0;
  virtual void End() = 0;
};

// The names of all modes.
const std::vector<std::string>& PrintModes();
// `out` outlives the printer. INVALID_ARGUMENT for an unknown mode.
absl::StatusOr<std::unique_ptr<RowPrinter>> MakeRowPrinter(const PrintOptions& options,
                                                           std::ostream* out);

// The modes that hold a result until its end.
std::unique_ptr<RowPrinter> MakeTablePrinter(const PrintOptions& options, std::ostream* out);

}  // namespace sextant::cli
