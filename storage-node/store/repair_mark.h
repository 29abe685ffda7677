// RepairMark: the file that says, across a restart, what is wrong with the tables of a node's
// directory. Internal to store/.
//
// A damaged block stays in its file, and compaction, which cannot rewrite it, ends the process. Who
// meets damage sets the mark; the next start verifies all tables, rewrites those families that hold
// a damaged one (rocksdb_salvage.h) and clears the mark at last.
//
// Thread-safety: SetVerify from any thread, the rest while the store is opened.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "absl/status/status.h"

namespace rocksdb {
class Env;
}

namespace sextant::storage {

class RepairMark {
 public:
  enum class Kind {
    kNone,
    kVerify,  // some table is damaged
    // The tables were given up: log and pages of all segments are lost, none may count as whole.
    kBeginAnew,
  };

  RepairMark(rocksdb::Env* env, const std::string& directory);

  // A file that cannot be read is a reason to look.
  Kind Read() const;
  // Durable once it returns OK.
  absl::Status Set(Kind kind);
  // kVerify, unless something is set already; cheap to call again. What fails is logged: the mark
  // spares trouble, it is no promise.
  void SetVerify();
  absl::Status Clear();

 private:
  rocksdb::Env* const env_;
  const std::string directory_;
  const std::string path_;
  std::atomic<bool> is_set_{false};
  std::mutex mutex_;
};

}  // namespace sextant::storage
