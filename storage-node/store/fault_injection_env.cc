// See fault_injection_env.h.
#include "storage-node/store/fault_injection_env.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "rocksdb/system_clock.h"

namespace sextant::storage {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using Lock = std::lock_guard<std::mutex>;

namespace {

std::string DirectoryOf(const std::string& file) {
  return std::filesystem::path(file).parent_path().string();
}

std::optional<std::string> Slurp(const std::string& name) {
  std::ifstream in(name, std::ios::binary);
  if (!in.is_open()) return std::nullopt;
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

// A file RocksDB cannot open twice for writing, so a name is enough to know it by.
std::string Clean(const std::string& name) {
  return std::filesystem::path(name).lexically_normal().string();
}

// True once, if `name` ends as asked.
bool Fires(std::string* suffix, const std::string& name) {
  if (suffix->empty() || name.size() < suffix->size() ||
      name.compare(name.size() - suffix->size(), suffix->size(), *suffix) != 0) {
    return false;
  }
  suffix->clear();
  return true;
}

}  // namespace

class TrackedFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  TrackedFile(FaultInjectionFileSystem* disk, std::string name,
              std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk), name_(std::move(name)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    IOStatus status = disk_->Appended(name_, data.size());
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : status;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Synced(options, debug);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Synced(options, debug);
  }

 private:
  // Flushed is as good as synced here: the power that is lost is ours.
  IOStatus Synced(const IOOptions& options, IODebugContext* debug) {
    IOStatus status = disk_->BeforeSync(name_);
    if (status.ok()) status = FSWritableFileOwnerWrapper::Flush(options, debug);
    if (status.ok()) disk_->Synced(name_);
    return status;
  }

  FaultInjectionFileSystem* const disk_;
  const std::string name_;
};

class TrackedInPlaceFile : public rocksdb::FSRandomRWFileOwnerWrapper {
 public:
  TrackedInPlaceFile(FaultInjectionFileSystem* disk, std::string name,
                     std::unique_ptr<rocksdb::FSRandomRWFile>&& file)
      : FSRandomRWFileOwnerWrapper(std::move(file)), disk_(disk), name_(std::move(name)) {}

  IOStatus Write(uint64_t at, const rocksdb::Slice& data, const IOOptions& options,
                 IODebugContext* debug) override {
    IOStatus status = disk_->BeforeOverwrite(name_);
    return status.ok() ? FSRandomRWFileOwnerWrapper::Write(at, data, options, debug) : status;
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    IOStatus status = disk_->BeforeSync(name_);
    if (status.ok()) disk_->SyncedInPlace(name_);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Sync(options, debug);
  }

 private:
  FaultInjectionFileSystem* const disk_;
  const std::string name_;
};

class TrackedDirectory : public rocksdb::FSDirectoryWrapper {
 public:
  TrackedDirectory(FaultInjectionFileSystem* disk, std::string name,
                   std::unique_ptr<rocksdb::FSDirectory>&& directory)
      : FSDirectoryWrapper(std::move(directory)), disk_(disk), name_(std::move(name)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return Synced(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                               const rocksdb::DirFsyncOptions&) override {
    return Synced();
  }

 private:
  IOStatus Synced() {
    IOStatus status = disk_->CheckPower();
    if (status.ok()) disk_->DirectorySynced(name_);
    return status;
  }

  FaultInjectionFileSystem* const disk_;
  const std::string name_;
};

FaultInjectionFileSystem::FaultInjectionFileSystem()
    : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

IOStatus FaultInjectionFileSystem::CheckPower() {
  Lock lock(mutex_);
  return has_power_ ? IOStatus::OK() : IOStatus::IOError("the power is off");
}

void FaultInjectionFileSystem::Crash() {
  Lock lock(mutex_);
  has_power_ = false;
}

void FaultInjectionFileSystem::FailNextSync(std::string suffix) {
  Lock lock(mutex_);
  failing_sync_ = std::move(suffix);
}

void FaultInjectionFileSystem::FailNextAppend(std::string suffix) {
  Lock lock(mutex_);
  failing_append_ = std::move(suffix);
}

IOStatus FaultInjectionFileSystem::Appended(const std::string& name, size_t bytes) {
  Lock lock(mutex_);
  if (!has_power_) return IOStatus::IOError("the power is off");
  if (Fires(&failing_append_, name)) return IOStatus::IOError("injected write error");
  files_[name].written += bytes;
  return IOStatus::OK();
}

IOStatus FaultInjectionFileSystem::BeforeOverwrite(const std::string& name) {
  Lock lock(mutex_);
  if (!has_power_) return IOStatus::IOError("the power is off");
  if (Fires(&failing_append_, name)) return IOStatus::IOError("injected write error");
  if (!overwritten_.contains(name)) overwritten_[name] = Slurp(name).value_or("");
  return IOStatus::OK();
}

IOStatus FaultInjectionFileSystem::BeforeSync(const std::string& name) {
  Lock lock(mutex_);
  if (!has_power_) return IOStatus::IOError("the power is off");
  if (Fires(&failing_sync_, name)) return IOStatus::IOError("injected sync error");
  return IOStatus::OK();
}

void FaultInjectionFileSystem::Synced(const std::string& name) {
  Lock lock(mutex_);
  files_[name].synced = files_[name].written;
}

void FaultInjectionFileSystem::SyncedInPlace(const std::string& name) {
  Lock lock(mutex_);
  overwritten_.erase(name);
  const auto file = files_.find(name);
  if (file != files_.end() && file->second.is_entry_synced) files_.erase(file);  // whole, for good
}

void FaultInjectionFileSystem::DirectorySynced(const std::string& directory) {
  Lock lock(mutex_);
  for (auto& [name, state] : files_) {
    if (DirectoryOf(name) == directory) state.is_entry_synced = true;
  }
  std::erase_if(unsynced_renames_,
                [&](const Rename& rename) { return DirectoryOf(rename.to) == directory; });
}

IOStatus FaultInjectionFileSystem::NewWritableFile(const std::string& name,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                   IODebugContext* debug) {
  IOStatus status = CheckPower();
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> real;
  status = target()->NewWritableFile(name, options, &real, debug);
  if (!status.ok()) return status;
  Lock lock(mutex_);
  files_[Clean(name)] = {};
  *file = std::make_unique<TrackedFile>(this, Clean(name), std::move(real));
  return status;
}

IOStatus FaultInjectionFileSystem::NewRandomRWFile(const std::string& name,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                                   IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSRandomRWFile> real;
  IOStatus status = target()->NewRandomRWFile(name, options, &real, debug);
  if (status.ok()) *file = std::make_unique<TrackedInPlaceFile>(this, Clean(name), std::move(real));
  return status;
}

IOStatus FaultInjectionFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                                std::unique_ptr<rocksdb::FSDirectory>* directory,
                                                IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> real;
  IOStatus status = target()->NewDirectory(name, options, &real, debug);
  if (status.ok()) {
    *directory = std::make_unique<TrackedDirectory>(this, Clean(name), std::move(real));
  }
  return status;
}

IOStatus FaultInjectionFileSystem::RenameFile(const std::string& from, const std::string& to,
                                              const IOOptions& options, IODebugContext* debug) {
  IOStatus status = CheckPower();
  if (!status.ok()) return status;
  Rename rename{Clean(from), Clean(to), Slurp(to)};
  status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  Lock lock(mutex_);
  if (auto moved = files_.extract(rename.from)) {
    moved.key() = rename.to;
    files_.erase(rename.to);
    files_.insert(std::move(moved));
  }
  unsynced_renames_.push_back(std::move(rename));
  return status;
}

IOStatus FaultInjectionFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                              IODebugContext* debug) {
  IOStatus status = CheckPower();
  if (!status.ok()) return status;
  status = target()->DeleteFile(name, options, debug);
  Lock lock(mutex_);
  if (status.ok()) files_.erase(Clean(name));
  return status;
}

void FaultInjectionFileSystem::DropUnsynced(Prng* prng) {
  Lock lock(mutex_);
  for (auto rename = unsynced_renames_.rbegin(); rename != unsynced_renames_.rend(); ++rename) {
    std::filesystem::remove(rename->to);
    files_.erase(rename->to);
    if (rename->overwritten) std::ofstream(rename->to, std::ios::binary) << *rename->overwritten;
  }
  for (const auto& [name, state] : files_) {
    if (!std::filesystem::exists(name)) continue;
    if (!state.is_entry_synced) {
      std::filesystem::remove(name);
      continue;
    }
    const uint64_t kept = prng->Between(state.synced, std::max(state.synced, state.written));
    if (kept < std::filesystem::file_size(name)) std::filesystem::resize_file(name, kept);
  }
  for (const auto& [name, before] : overwritten_) {
    const std::string after = Slurp(name).value_or("");
    const size_t torn = prng->Between(0, after.size());
    std::ofstream out(name, std::ios::binary | std::ios::trunc);
    out << after.substr(0, torn) << (before.size() > torn ? before.substr(torn) : "");
  }
  overwritten_.clear();
  unsynced_renames_.clear();
  files_.clear();
  has_power_ = true;
}

namespace {

class SleeplessClock : public rocksdb::SystemClockWrapper {
 public:
  SleeplessClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "SleeplessClock"; }
  void SleepForMicroseconds(int) override {}
};

class FaultInjectionEnv : public rocksdb::EnvWrapper {
 public:
  explicit FaultInjectionEnv(std::unique_ptr<rocksdb::Env> base) : EnvWrapper(std::move(base)) {
    file_system_ = target()->GetFileSystem();
    system_clock_ = std::make_shared<SleeplessClock>();
  }
  const char* Name() const override { return "FaultInjectionEnv"; }
};

}  // namespace

std::unique_ptr<rocksdb::Env> NewFaultInjectionEnv(
    const std::shared_ptr<FaultInjectionFileSystem>& files) {
  return std::make_unique<FaultInjectionEnv>(rocksdb::NewCompositeEnv(files));
}

}  // namespace sextant::storage
