// See repair_mark.h.
#include "storage-node/store/repair_mark.h"

#include <spdlog/spdlog.h>

#include <memory>

#include "common/base/status.h"
#include "rocksdb/env.h"
#include "storage-node/store/rocksdb_errors.h"

namespace sextant::storage {
namespace {

constexpr char kVerifyText[] = "verify\n";
constexpr char kBeginAnewText[] = "begin anew\n";

absl::Status SyncDirectory(rocksdb::Env* env, const std::string& path) {
  std::unique_ptr<rocksdb::Directory> directory;
  rocksdb::Status status = env->NewDirectory(path, &directory);
  if (status.ok()) status = directory->Fsync();
  return FromRocks(status, path);
}

}  // namespace

RepairMark::RepairMark(rocksdb::Env* env, const std::string& directory)
    : env_(env), directory_(directory), path_(directory + "/REPAIR") {
  is_set_ = Read() != Kind::kNone;
}

RepairMark::Kind RepairMark::Read() const {
  std::string text;
  const rocksdb::Status status = rocksdb::ReadFileToString(env_, path_, &text);
  if (status.IsNotFound() || status.IsPathNotFound()) return Kind::kNone;
  return text == kBeginAnewText ? Kind::kBeginAnew : Kind::kVerify;
}

absl::Status RepairMark::Set(Kind kind) {
  const std::string draft = path_ + ".tmp";
  const char* text = kind == Kind::kBeginAnew ? kBeginAnewText : kVerifyText;
  rocksdb::Status status = rocksdb::WriteStringToFile(env_, text, draft, /*should_sync=*/true);
  if (status.ok()) status = env_->RenameFile(draft, path_);
  RETURN_IF_ERROR(FromRocks(status, path_));
  RETURN_IF_ERROR(SyncDirectory(env_, directory_));
  is_set_ = true;
  return absl::OkStatus();
}

void RepairMark::SetVerify() {
  if (is_set_) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_set_) return;
  const absl::Status status = Set(Kind::kVerify);
  is_set_ = true;
  if (status.ok()) {
    spdlog::warn("store: a table in {} is damaged; it is rewritten at the next start", directory_);
  } else {
    spdlog::error("store: a table in {} is damaged, and that cannot be noted: {}", directory_,
                  status.ToString());
  }
}

absl::Status RepairMark::Clear() {
  if (Read() == Kind::kNone) return absl::OkStatus();
  RETURN_IF_ERROR(FromRocks(env_->DeleteFile(path_), path_));
  is_set_ = false;
  return SyncDirectory(env_, directory_);
}

}  // namespace sextant::storage
