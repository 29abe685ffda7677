// See data_directory.h.
#include "storage-node/store/data_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "absl/strings/numbers.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

constexpr char kMarker[] = "/SEXTANT";
constexpr char kMarkerDraft[] = "/SEXTANT.tmp";
constexpr char kKind[] = "sextant-storage-node";

absl::Status SystemError(std::string_view what, const std::string& path) {
  return absl::UnavailableError(Text(what, " ", path, ": ", std::strerror(errno)));
}

absl::Status Refused(const std::string& path, std::string_view why) {
  return absl::FailedPreconditionError(
      Text("data directory ", path, " ", why, "; nothing was changed in it"));
}

// Makes what was written to a file, or the entries of a directory, survive a power loss.
absl::Status SyncPath(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open", path);
  const bool ok = ::fsync(fd) == 0;
  const absl::Status status = ok ? absl::OkStatus() : SystemError("cannot sync", path);
  ::close(fd);
  return status;
}

std::string ParentOf(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::absolute(path).parent_path();
  return parent.string();
}

// "key: value" lines.
std::map<std::string, std::string> ParseMarker(std::istream& in) {
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return fields;
}

// No entries at all, or only the draft of a marker that a crash left behind.
absl::StatusOr<bool> IsEmpty(const std::string& path) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() != kMarkerDraft + 1) return false;
  }
  if (error) return absl::UnavailableError(Text("cannot list ", path, ": ", error.message()));
  return true;
}

DirectoryId DrawId() {
  std::random_device entropy;
  const uint64_t high = entropy();
  return DirectoryId((high << 32 | entropy()) | 1);
}

absl::StatusOr<DirectoryId> ParseId(const std::string& text, const std::string& path) {
  uint64_t id = 0;
  if (text.empty() || absl::SimpleAtoi(text, &id)) return DirectoryId(id);
  return Refused(path, Text("has '", text, "' for the number of the directory in its marker"));
}

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) return SystemError("cannot make data directory", path);
  return SyncPath(ParentOf(path));
}

}  // namespace

absl::StatusOr<DataDirectory> DataDirectory::Open(const std::string& path,
                                                  const DirectoryOwner& owner) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return SystemError("cannot look at data directory", path);
    RETURN_IF_ERROR(MakeDirectory(path));
  } else if (!S_ISDIR(info.st_mode)) {
    return Refused(path, "is not a directory");
  }
  std::ifstream marker(path + kMarker);
  if (!marker.is_open()) {
    ASSIGN_OR_RETURN(const bool is_empty, IsEmpty(path));
    if (!is_empty) {
      return Refused(path,
                     "is not empty and is no Sextant directory (no file SEXTANT); give an empty "
                     "or a new one");
    }
    DataDirectory directory(path, owner, DrawId(), /*is_new=*/true);
    RETURN_IF_ERROR(directory.WriteMarker(/*is_ready=*/false));
    return directory;
  }
  auto fields = ParseMarker(marker);
  if (fields["kind"] != kKind) {
    return Refused(path, Text("belongs to '", fields["kind"], "', not to a storage node"));
  }
  if (fields["format"] != std::to_string(kDirectoryFormat)) {
    return Refused(path, Text("has format ", fields["format"], ", this binary knows format ",
                              kDirectoryFormat, "; use the binary that wrote it"));
  }
  if (fields["node"] != owner.node || fields["zone"] != owner.zone) {
    return Refused(path, Text("belongs to node ", fields["node"], " in zone ", fields["zone"],
                              ", not to ", owner.node, " in ", owner.zone));
  }
  ASSIGN_OR_RETURN(const DirectoryId id, ParseId(fields["directory"], path));
  return DataDirectory(path, owner, id, /*is_new=*/fields["state"] != "ready");
}

absl::Status DataDirectory::WriteMarker(bool is_ready) const {
  const std::string draft = path_ + kMarkerDraft;
  std::ofstream out(draft, std::ios::trunc);
  out << "kind: " << kKind << "\nformat: " << kDirectoryFormat << "\nnode: " << owner_.node
      << "\nzone: " << owner_.zone << "\ndirectory: " << id_
      << "\nstate: " << (is_ready ? "ready" : "creating") << "\n";
  out.close();
  if (!out) return SystemError("cannot write", draft);
  RETURN_IF_ERROR(SyncPath(draft));
  const std::string marker = path_ + kMarker;
  if (::rename(draft.c_str(), marker.c_str()) != 0) return SystemError("cannot rename", draft);
  return SyncPath(path_);
}

absl::Status DataDirectory::MarkReady() {
  RETURN_IF_ERROR(SyncPath(path_));  // the entry of rocksdb/ itself
  RETURN_IF_ERROR(WriteMarker(/*is_ready=*/true));
  is_new_ = false;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> FreeDiskBytes(const std::string& path) {
  struct statvfs info;
  if (::statvfs(path.c_str(), &info) != 0) return SystemError("cannot ask for free space of", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace sextant::storage
