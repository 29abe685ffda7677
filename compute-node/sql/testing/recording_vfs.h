// RecordingVfs: a SQLite VFS that forwards to another one and writes down the calls that matter.
//
// For the contract test: which calls SQLite makes around a transaction is what VolumeFile stands
// on.
#pragma once

#include <memory>
#include <string>
#include <vector>

struct sqlite3_vfs;

namespace sextant::sql {

class RecordingVfs {
 public:
  // `inner` names a registered VFS.
  explicit RecordingVfs(const std::string& inner);
  ~RecordingVfs();
  RecordingVfs(const RecordingVfs&) = delete;

  const std::string& name() const { return name_; }
  // The calls since the last Take: "Lock SHARED", "Read 1", "Write 2" (pages from one), "SYNC", ...
  std::vector<std::string> Take();

  void Record(std::string call) { calls_.push_back(std::move(call)); }
  sqlite3_vfs* inner() const { return inner_; }

 private:
  std::string name_;
  sqlite3_vfs* inner_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  std::vector<std::string> calls_;
};

}  // namespace sextant::sql
