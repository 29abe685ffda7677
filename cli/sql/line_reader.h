// LineReader: lines from a file descriptor, and whether more can be read without waiting.
#pragma once

#include <cstdint>
#include <string>

namespace sextant::cli {

class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  // The next line with its line end (the last may have none); false at the end of the input.
  bool Next(std::string* line);
  // False when Next() would have to wait for somebody to write: the time to run what is queued.
  bool HasMoreNow();
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  bool Fill();

  const int fd_;
  std::string buffer_;
  size_t at_ = 0;
  bool is_at_end_ = false;
  uint64_t bytes_read_ = 0;
};

}  // namespace sextant::cli
