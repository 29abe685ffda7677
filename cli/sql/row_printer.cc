// The modes that print rows as they come.
#include "cli/sql/row_printer.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "cli/sql/value_text.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

// Values with a separator between them: list, csv, tabs, quote.
class DelimitedPrinter : public RowPrinter {
 public:
  DelimitedPrinter(const PrintOptions& options, std::ostream* out) : options_(options), out_(*out) {
    separator_ = options.mode == "list" ? options.separator : options.mode == "tabs" ? "\t" : ",";
  }
  void Begin(const std::vector<std::string>& columns) override { columns_ = columns; }
  void Row(const v1::Row& row) override {
    if (options_.headers) PrintNames();
    std::string line;
    for (int i = 0; i < row.values_size(); ++i) {
      if (i > 0) line += separator_;
      line += Value(row.values(i));
    }
    out_ << line << options_.row_end;
  }
  void End() override {}

 private:
  // With the first row: a result of no rows shows no names.
  void PrintNames() {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      v1::SqlValue name;
      name.set_text(columns_[i]);
      line += (i > 0 ? separator_ : "") + Value(name);
    }
    if (!columns_.empty()) out_ << line << options_.row_end;
    columns_.clear();
  }
  std::string Value(const v1::SqlValue& value) const {
    if (options_.mode == "quote") return SqlLiteral(value);
    if (options_.mode != "csv" || IsNull(value)) return PlainText(value, options_.null);
    return CsvField(PlainText(value));
  }
  // Quoted where anything in it is not a printable ASCII character other than blank and quotes.
  std::string CsvField(const std::string& text) const {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
      return c > ' ' && c < 0x7f && c != '"' && c != '\'';
    });
    if (is_plain && !text.empty() && text.find(separator_) == std::string::npos) return text;
    std::string quoted = "\"";
    for (char c : text) {
      quoted += c;
      if (c == '"') quoted += c;
    }
    return quoted + "\"";
  }

  const PrintOptions options_;
  std::ostream& out_;
  std::vector<std::string> columns_;  // names still to be shown
  std::string separator_;
};

// [{"a":1},
// {"a":2}]
class JsonPrinter : public RowPrinter {
 public:
  explicit JsonPrinter(std::ostream* out) : out_(*out) {}
  void Begin(const std::vector<std::string>& columns) override {
    names_.clear();
    for (const std::string& column : columns) names_.push_back(JsonString(column));
    has_rows_ = false;
  }
  void Row(const v1::Row& row) override {
    std::string line = has_rows_ ? ",\n{" : "[{";
    has_rows_ = true;
    for (int i = 0; i < row.values_size(); ++i) {
      if (i > 0) line += ",";
      line += names_[static_cast<size_t>(i)] + ":" + JsonText(row.values(i));
    }
    out_ << line << "}";
  }
  void End() override {
    if (has_rows_) out_ << "]\n";
  }

 private:
  std::ostream& out_;
  std::vector<std::string> names_;
  bool has_rows_ = false;
};

// INSERT statements.
class InsertPrinter : public RowPrinter {
 public:
  InsertPrinter(const PrintOptions& options, std::ostream* out)
      : start_(Text("INSERT INTO ", QuotedName(options.insert_table), " VALUES(")), out_(*out) {}
  void Begin(const std::vector<std::string>&) override {}
  void Row(const v1::Row& row) override {
    std::string line = start_;
    for (int i = 0; i < row.values_size(); ++i) {
      if (i > 0) line += ",";
      line += SqlLiteralOnOneLine(row.values(i));
    }
    out_ << line << ");\n";
  }
  void End() override {}

 private:
  const std::string start_;
  std::ostream& out_;
};

// name = value, a line each.
class LinePrinter : public RowPrinter {
 public:
  LinePrinter(const PrintOptions& options, std::ostream* out) : null_(options.null), out_(*out) {}
  void Begin(const std::vector<std::string>& columns) override {
    names_ = columns;
    width_ = 5;
    for (const std::string& name : columns) width_ = std::max(width_, name.size());
    is_first_ = true;
  }
  void Row(const v1::Row& row) override {
    if (!is_first_) out_ << "\n";
    is_first_ = false;
    for (int i = 0; i < row.values_size(); ++i) {
      const std::string& name = names_[static_cast<size_t>(i)];
      out_ << std::string(width_ - name.size(), ' ') << name << " = "
           << PlainText(row.values(i), null_) << "\n";
    }
  }
  void End() override {}

 private:
  const std::string null_;
  std::ostream& out_;
  std::vector<std::string> names_;
  size_t width_ = 5;
  bool is_first_ = true;
};

}  // namespace

const std::vector<std::string>& PrintModes() {
  static const std::vector<std::string> modes = {"box",   "column", "csv",  "insert",
                                                 "json",  "line",   "list", "markdown",
                                                 "quote", "table",  "tabs"};
  return modes;
}

absl::StatusOr<std::unique_ptr<RowPrinter>> MakeRowPrinter(const PrintOptions& options,
                                                           std::ostream* out) {
  const std::string& mode = options.mode;
  if (mode == "list" || mode == "csv" || mode == "tabs" || mode == "quote") {
    return std::make_unique<DelimitedPrinter>(options, out);
  }
  if (mode == "json") return std::make_unique<JsonPrinter>(out);
  if (mode == "insert") return std::make_unique<InsertPrinter>(options, out);
  if (mode == "line") return std::make_unique<LinePrinter>(options, out);
  if (mode == "table" || mode == "box" || mode == "column" || mode == "markdown") {
    return MakeTablePrinter(options, out);
  }
  return absl::InvalidArgumentError(
      Text("there is no mode '", mode, "': the modes are ", absl::StrJoin(PrintModes(), " ")));
}

}  // namespace sextant::cli
