// See bit_flips.h.
#include "fault/cluster/bit_flips.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/base/text.h"

namespace sextant::fault {
namespace {

namespace fs = std::filesystem;

constexpr int kMostFiles = 3;

bool HoldsData(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::string suffix = path.extension().string();
  return suffix == ".sst" || suffix == ".log" || name.starts_with("MANIFEST") ||
         name == "witness.0";
}

absl::Status FlipIn(const fs::path& path, Prng* prng) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto at = static_cast<std::streamoff>(prng->Below(fs::file_size(path)));
  file.seekg(at);
  const int byte = file.get();
  file.seekp(at);
  file.put(static_cast<char>(byte ^ (1 << prng->Below(8))));
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(Text("cannot flip a bit in ", path.string()));
}

}  // namespace

absl::StatusOr<int> FlipBits(const std::string& data_folder, Prng* prng) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(data_folder, error)) {
    if (entry.is_regular_file() && entry.file_size() > 0 && HoldsData(entry.path())) {
      files.push_back(entry.path());
    }
  }
  if (error || files.empty()) {
    return absl::UnavailableError(Text("no files of a storage node in ", data_folder));
  }
  std::sort(files.begin(), files.end());
  const int count = std::min(kMostFiles, static_cast<int>(files.size()));
  for (int i = 0; i < count; ++i) {
    const absl::Status flipped = FlipIn(files[prng->Below(files.size())], prng);
    if (!flipped.ok()) return flipped;
  }
  return count;
}

}  // namespace sextant::fault
