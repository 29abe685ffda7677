// TableDropper: deletes, in the background, table files that hold nothing but what was dropped.
// Internal to store/.
//
// A range tombstone hides what it covers at once, but the room comes back only when compaction
// happens to get there. Files of a range that is dropped as a whole go unread instead. Deleting a
// gigabyte of them takes most of a second, which no commit should wait for.
//
// The tombstone is written first, and it covers all that the deleted files may have hidden, so
// nothing comes to light again. Nothing new may be written into a range while it is being dropped:
// AwaitSegment. What is not done when the store is closed is left to compaction.
//
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/base/ids.h"
#include "rocksdb/db.h"

namespace sextant::storage {

class TableDropper {
 public:
  // `on_error`: called, once, when deleting fails; the thread ends then.
  TableDropper(rocksdb::DB* db, std::function<void(rocksdb::Status)> on_error);
  ~TableDropper();

  // The keys of `family` in [begin, end). `whole`: everything of that segment, so that it may be
  // begun anew within the range.
  void Drop(rocksdb::ColumnFamilyHandle* family, std::string begin, std::string end,
            std::optional<SegmentId> whole);
  // Until no whole segment `segment` is being dropped.
  void AwaitSegment(SegmentId segment);

 private:
  struct Range {
    rocksdb::ColumnFamilyHandle* family;
    std::string begin, end;
    std::optional<SegmentId> whole;
  };

  void Run();

  rocksdb::DB* const db_;
  const std::function<void(rocksdb::Status)> on_error_;
  std::atomic<int> whole_segments_{0};  // of ranges_, so that writers mostly need no lock
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Range> ranges_;  // the first one is being dropped
  bool is_stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace sextant::storage
