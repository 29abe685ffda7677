// See csv_reader.h.
#include "cli/sql/csv_reader.h"

namespace sextant::cli {

bool CsvReader::Next(std::vector<std::string>* fields) {
  fields->clear();
  record_line_ = line_;
  if (in_.peek() == std::istream::traits_type::eof()) return false;
  std::string field;
  bool in_quotes = false;
  for (int c = in_.get(); c != std::istream::traits_type::eof(); c = in_.get()) {
    const char character = static_cast<char>(c);
    line_ += character == '\n';
    if (in_quotes) {
      if (character != '"') {
        field += character;
      } else if (in_.peek() == '"') {
        field += static_cast<char>(in_.get());
      } else {
        in_quotes = false;
      }
    } else if (character == '"' && field.empty()) {
      in_quotes = true;
    } else if (character == separator_) {
      fields->push_back(std::move(field));
      field.clear();
    } else if (character == '\n') {
      break;
    } else if (character != '\r' || in_.peek() != '\n') {
      field += character;
    }
  }
  fields->push_back(std::move(field));
  return true;
}

}  // namespace sextant::cli
