// CsvReader: records of CSV text (RFC 4180). Pure.
#pragma once

#include <istream>
#include <string>
#include <vector>

namespace sextant::cli {

class CsvReader {
 public:
  explicit CsvReader(std::istream* in, char separator = ',') : in_(*in), separator_(separator) {}
  // The next record; false at the end. Fields in double quotes may hold separators, line ends, and
  // quotes that are doubled.
  bool Next(std::vector<std::string>* fields);
  int line() const { return record_line_; }  // 1-based, on which the last record began

 private:
  std::istream& in_;
  const char separator_;
  int line_ = 1;
  int record_line_ = 1;
};

}  // namespace sextant::cli
