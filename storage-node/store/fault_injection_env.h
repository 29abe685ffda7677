// FaultInjectionFileSystem: a RocksDB file system that can lose power. For tests.
//
// Writes go through to real files, but it remembers how far each was synced and which directory
// entries were. Crash() stops all further I/O; DropUnsynced(), once the database is closed, makes
// the directory what a power loss would have left: unsynced ends cut off (at a random point), files
// whose entry was never synced removed, renames that were not synced undone, files written in place
// torn between what they held and what was written. One fault can be asked
// for: the n-th next sync or write fails.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

namespace sextant::storage {

class FaultInjectionFileSystem : public rocksdb::FileSystemWrapper {
 public:
  FaultInjectionFileSystem();
  const char* Name() const override { return "FaultInjectionFileSystem"; }

  // Every operation that changes a file fails from now on.
  void Crash();
  // Call with the database closed. What was written but not synced is cut at a random point.
  void DropUnsynced(Prng* prng);
  // The next sync of a file whose name ends so fails; nothing of it reaches the disk.
  void FailNextSync(std::string suffix);
  void FailNextAppend(std::string suffix);

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  friend class TrackedFile;
  friend class TrackedInPlaceFile;
  friend class TrackedDirectory;

  struct FileState {
    uint64_t written = 0;
    uint64_t synced = 0;
    bool is_entry_synced = false;
  };
  struct Rename {
    std::string from, to;
    std::optional<std::string> overwritten;  // what `to` held before
  };

  rocksdb::IOStatus CheckPower();
  rocksdb::IOStatus Appended(const std::string& name, size_t bytes);
  rocksdb::IOStatus BeforeOverwrite(const std::string& name);
  rocksdb::IOStatus BeforeSync(const std::string& name);
  void Synced(const std::string& name);
  void SyncedInPlace(const std::string& name);
  void DirectorySynced(const std::string& directory);

  std::mutex mutex_;
  bool has_power_ = true;
  std::string failing_sync_, failing_append_;
  std::map<std::string, FileState> files_;
  std::vector<Rename> unsynced_renames_;
  std::map<std::string, std::string> overwritten_;  // files written in place, as last synced
};

// An environment on that file system, in which RocksDB's pauses after an error take no time.
std::unique_ptr<rocksdb::Env> NewFaultInjectionEnv(
    const std::shared_ptr<FaultInjectionFileSystem>& files);

}  // namespace sextant::storage
