// See table_dropper.h.
#include "storage-node/store/table_dropper.h"

#include <algorithm>
#include <utility>

#include "rocksdb/convenience.h"

namespace sextant::storage {

TableDropper::TableDropper(rocksdb::DB* db, std::function<void(rocksdb::Status)> on_error)
    : db_(db), on_error_(std::move(on_error)), thread_([this] { Run(); }) {}

TableDropper::~TableDropper() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TableDropper::Drop(rocksdb::ColumnFamilyHandle* family, std::string begin, std::string end,
                        std::optional<SegmentId> whole) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (is_stopping_) return;  // it failed
    if (whole) ++whole_segments_;
    ranges_.push_back({family, std::move(begin), std::move(end), whole});
  }
  changed_.notify_all();
}

void TableDropper::AwaitSegment(SegmentId segment) {
  if (whole_segments_ == 0) return;
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] {
    return std::none_of(ranges_.begin(), ranges_.end(),
                        [&](const Range& range) { return range.whole == segment; });
  });
}

void TableDropper::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return is_stopping_ || !ranges_.empty(); });
    if (is_stopping_) return;
    const Range range = ranges_.front();
    lock.unlock();
    const rocksdb::Slice begin(range.begin), end(range.end);
    const rocksdb::Status status =
        rocksdb::DeleteFilesInRange(db_, range.family, &begin, &end, /*include_end=*/false);
    if (!status.ok()) on_error_(status);
    lock.lock();
    if (range.whole) --whole_segments_;
    ranges_.pop_front();
    if (!status.ok()) {
      is_stopping_ = true;
      whole_segments_ = 0;
      ranges_.clear();
    }
    changed_.notify_all();
  }
}

}  // namespace sextant::storage
