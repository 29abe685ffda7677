// LineReader over read(2) and poll(2).
#include "cli/sql/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace sextant::cli {

bool LineReader::Fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  char chunk[64 * 1024];
  ssize_t count = 0;
  do {
    count = read(fd_, chunk, sizeof chunk);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    is_at_end_ = true;
    return false;
  }
  bytes_read_ += static_cast<uint64_t>(count);
  buffer_.append(chunk, static_cast<size_t>(count));
  return true;
}

bool LineReader::Next(std::string* line) {
  size_t searched = at_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      line->assign(buffer_, at_, end + 1 - at_);
      at_ = end + 1;
      return true;
    }
    searched = buffer_.size() - at_;
    if (is_at_end_ || !Fill()) break;
  }
  line->assign(buffer_, at_);
  at_ = buffer_.size();
  return !line->empty();
}

bool LineReader::HasMoreNow() {
  if (is_at_end_ || buffer_.find('\n', at_) != std::string::npos) return true;
  pollfd entry{fd_, POLLIN, 0};
  return poll(&entry, 1, 0) != 0;
}

}  // namespace sextant::cli
