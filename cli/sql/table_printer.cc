// The modes that need a column's width: table, box, column, markdown.
#include <algorithm>

#include "cli/sql/row_printer.h"
#include "cli/sql/value_text.h"

namespace sextant::cli {
namespace {

// Columns on a screen: characters, counted as UTF-8 starts them.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  lines.push_back(text.substr(start));
  return lines;
}

std::string Repeat(const std::string& piece, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += piece;
  return text;
}

std::string Centered(const std::string& text, size_t width) {
  const size_t blanks = width - Width(text);
  return std::string(blanks / 2, ' ') + text + std::string(blanks - blanks / 2, ' ');
}

std::string Padded(const std::string& text, size_t width) {
  return text + std::string(width - std::min(width, Width(text)), ' ');
}

// What a mode draws around its cells.
struct Frame {
  std::string bar;  // between cells; empty: two blanks and no frame
  std::string dash;
  std::string top[3], middle[3], bottom[3];  // left, between, right of a rule; empty: no such rule
};

Frame FrameOf(const std::string& mode) {
  if (mode == "table") return {"|", "-", {"+", "+", "+"}, {"+", "+", "+"}, {"+", "+", "+"}};
  if (mode == "markdown") return {"|", "-", {}, {"|", "|", "|"}, {}};
  if (mode == "box") return {"│", "─", {"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}};
  return {"", "-", {}, {}, {}};
}

using Cells = std::vector<std::vector<std::string>>;  // by column, its lines

class TablePrinter : public RowPrinter {
 public:
  TablePrinter(const PrintOptions& options, std::ostream* out)
      : options_(options), frame_(FrameOf(options.mode)), out_(*out) {}

  void Begin(const std::vector<std::string>& columns) override {
    columns_ = columns;
    rows_.clear();
    widths_.clear();
    for (const std::string& column : columns) widths_.push_back(Width(column));
  }
  void Row(const v1::Row& row) override {
    Cells cells;
    for (int i = 0; i < row.values_size(); ++i) {
      cells.push_back(Lines(PlainText(row.values(i), options_.null)));
      size_t& width = widths_[static_cast<size_t>(i)];
      for (const std::string& line : cells.back()) width = std::max(width, Width(line));
    }
    rows_.push_back(std::move(cells));
  }
  void End() override {
    if (rows_.empty()) return;
    PrintRule(frame_.top);
    PrintHeader();
    const bool has_tall_row = std::any_of(rows_.begin(), rows_.end(), [](const Cells& cells) {
      return std::any_of(cells.begin(), cells.end(), [](const auto& c) { return c.size() > 1; });
    });
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (i > 0 && has_tall_row && options_.mode == "column") out_ << "\n";
      if (i > 0 && has_tall_row && !frame_.top[0].empty()) PrintRule(frame_.middle);
      PrintRow(rows_[i]);
    }
    PrintRule(frame_.bottom);
    rows_.clear();
  }

 private:
  void PrintRule(const std::string (&rule)[3]) {
    if (rule[0].empty()) return;
    for (size_t i = 0; i < widths_.size(); ++i) {
      out_ << rule[i == 0 ? 0 : 1] << Repeat(frame_.dash, widths_[i] + 2);
    }
    out_ << rule[2] << "\n";
  }
  void PrintHeader() {
    if (frame_.bar.empty()) {
      PrintLine(columns_);
      std::vector<std::string> dashes;
      for (size_t width : widths_) dashes.push_back(std::string(width, '-'));
      PrintLine(dashes);
      return;
    }
    for (size_t i = 0; i < columns_.size(); ++i) {
      out_ << frame_.bar << " " << Centered(columns_[i], widths_[i]) << " ";
    }
    out_ << frame_.bar << "\n";
    PrintRule(frame_.middle);
  }
  void PrintLine(const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string padded = Padded(cells[i], widths_[i]);
      if (frame_.bar.empty()) {
        out_ << (i > 0 ? "  " : "") << padded;
      } else {
        out_ << frame_.bar << " " << padded << " ";
      }
    }
    out_ << frame_.bar << "\n";
  }
  void PrintRow(const Cells& cells) {
    size_t height = 1;
    for (const auto& lines : cells) height = std::max(height, lines.size());
    for (size_t i = 0; i < height; ++i) {
      std::vector<std::string> line;
      for (const auto& lines : cells) line.push_back(i < lines.size() ? lines[i] : "");
      PrintLine(line);
    }
  }

  const PrintOptions options_;
  const Frame frame_;
  std::ostream& out_;
  std::vector<std::string> columns_;
  std::vector<size_t> widths_;
  std::vector<Cells> rows_;
};

}  // namespace

std::unique_ptr<RowPrinter> MakeTablePrinter(const PrintOptions& options, std::ostream* out) {
  return std::make_unique<TablePrinter>(options, out);
}

}  // namespace sextant::cli
