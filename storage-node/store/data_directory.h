// DataDirectory: whose directory this is, checked before anything in it is touched.
//
// A storage node's directory holds a marker file SEXTANT (text: format, node, zone, directory,
// state) and the store in the subdirectory rocksdb/. The marker is written before the store is made
// and rewritten once that is done, so that a store which went missing later is noticed, not
// replaced by an empty one. docs/FORMATS.md, "Storage node directory".
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory_id.h"

namespace sextant::storage {

struct DirectoryOwner {
  std::string node;
  std::string zone;
};

class DataDirectory {
 public:
  // Accepts a missing, an empty or a matching directory. FAILED_PRECONDITION, and nothing was
  // touched: another node's or zone's, of another format, or something else altogether. A missing
  // directory is made, its parent is not.
  static absl::StatusOr<DataDirectory> Open(const std::string& path, const DirectoryOwner& owner);

  // The store is yet to be made; afterwards MarkReady() says so, durably.
  bool is_new() const { return is_new_; }
  // 0: made before directories had one.
  DirectoryId id() const { return id_; }
  absl::Status MarkReady();

  std::string store_path() const { return path_ + "/rocksdb"; }
  const std::string& path() const { return path_; }

 private:
  DataDirectory(std::string path, DirectoryOwner owner, DirectoryId id, bool is_new)
      : path_(std::move(path)), owner_(std::move(owner)), id_(id), is_new_(is_new) {}
  absl::Status WriteMarker(bool is_ready) const;

  std::string path_;
  DirectoryOwner owner_;
  DirectoryId id_;
  bool is_new_;
};

// Bytes that an ordinary process may still write on the file system of `path`.
absl::StatusOr<uint64_t> FreeDiskBytes(const std::string& path);

}  // namespace sextant::storage
