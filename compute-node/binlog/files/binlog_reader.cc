// BinlogReader: see binlog_store.h.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/files/binlog_store.h"
#include "compute-node/binlog/files/file_io.h"

namespace sextant::binlog {
namespace {

constexpr size_t kReadBytes = 256 << 10;

}  // namespace

absl::StatusOr<BinlogReader> BinlogReader::At(const BinlogStore* store, TxnSeq from) {
  SEXTANT_CHECK(from > TxnSeq(0)) << from;
  BinlogReader reader(store, from);
  RETURN_IF_ERROR(reader.OpenFile());
  return reader;
}

// The file that holds next_, at the transaction itself.
absl::Status BinlogReader::OpenFile() {
  const std::vector<BinlogFile> files = store_->files();
  if (files.front().before.last() >= next_) {
    return absl::OutOfRangeError(Text("transaction ", next_, " was purged; the oldest here is ",
                                      files.front().before.last().Next(), ": seed anew"));
  }
  const auto behind = std::find_if(files.begin(), files.end(), [&](const BinlogFile& file) {
    return file.before.last() >= next_;
  });
  const BinlogFile& file = *std::prev(behind);
  ASSIGN_OR_RETURN(fd_, binlog::OpenFile(file.path, O_RDONLY));
  file_number_ = file.number;
  offset_ = 0;
  buffer_.clear();
  RETURN_IF_ERROR(Fill(1));
  for (;;) {
    std::string_view in = buffer_;
    const auto format = DecodeEvent(&in);
    if (format.ok()) {
      buffer_.erase(0, buffer_.size() - in.size());
      break;
    }
    if (!absl::IsOutOfRange(format.status())) return format.status();
    RETURN_IF_ERROR(Fill(buffer_.size() + 1));
  }
  for (TxnSeq at = file.before.last().Next(); at < next_; at = at.Next()) {
    GtidEvent header;
    ASSIGN_OR_RETURN(const size_t size, Measure(&header));
    buffer_.erase(0, size);
  }
  return absl::OkStatus();
}

absl::Status BinlogReader::Fill(size_t bytes) {
  while (buffer_.size() < bytes) {
    const size_t old = buffer_.size();
    buffer_.resize(std::max(bytes, old + kReadBytes));
    const ssize_t got =
        ::pread(*fd_, buffer_.data() + old, buffer_.size() - old, static_cast<off_t>(offset_));
    buffer_.resize(old + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) return IoError("reading", Text("binlog file ", file_number_));
    if (got == 0) return absl::OutOfRangeError("the binlog file ends");
    offset_ += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> BinlogReader::Measure(GtidEvent* header) {
  for (;;) {
    std::string_view in = buffer_;
    const absl::StatusOr<Event> event = DecodeEvent(&in);
    if (event.ok()) {
      const auto* gtid = std::get_if<GtidEvent>(&*event);
      if (gtid == nullptr) return absl::OutOfRangeError("the binlog file ends");  // Rotate
      *header = *gtid;
      const size_t size = buffer_.size() - in.size() + gtid->body_bytes;
      RETURN_IF_ERROR(Fill(size));
      return size;
    }
    if (!absl::IsOutOfRange(event.status())) return event.status();
    RETURN_IF_ERROR(Fill(buffer_.size() + 1));
  }
}

absl::StatusOr<BinlogReader::Piece> BinlogReader::Next(TxnSeq through, size_t max_bytes) {
  Piece piece{.first = next_};
  size_t used = 0;  // of buffer_
  const auto take = [&] {
    piece.bytes.append(buffer_, 0, used);
    buffer_.erase(0, used);
    used = 0;
  };
  while (next_ <= through && piece.bytes.size() + used < max_bytes) {
    take();
    GtidEvent header;
    const absl::StatusOr<size_t> size = Measure(&header);
    if (absl::IsOutOfRange(size.status())) {  // the transaction is there, so it is in a later file
      const uint64_t old = file_number_;
      RETURN_IF_ERROR(OpenFile());
      if (file_number_ == old) {
        return absl::DataLossError(Text("transaction ", next_, " is not in binlog file ", old));
      }
      continue;
    }
    RETURN_IF_ERROR(size.status());
    if (header.gtid.seq != next_) {
      return absl::DataLossError(Text(FormatGtid(header.gtid), " stands where ", next_, " should"));
    }
    used = *size;
    piece.last = next_;
    next_ = next_.Next();
  }
  take();
  return piece;
}

}  // namespace sextant::binlog
