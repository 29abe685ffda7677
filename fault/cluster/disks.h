// Disks: a small file system for each storage node, in an image file, that can fill up and lose
// power.
//
// Takes root. The mounts live in a mount namespace of this process and those it starts: nobody else
// sees them, and the kernel takes them away when the last of these processes has ended.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sextant::fault {

class Disks {
 public:
  // Why this process cannot have any; empty: it can. Then this process is in a mount namespace of
  // its own from now on, so call it before there are threads.
  static std::string Prepare();

  explicit Disks(std::string image_folder) : folder_(std::move(image_folder)) {}
  ~Disks();  // unmounts; the images stay

  // Makes a file system of `bytes`, sparse, and mounts it at `folder`.
  absl::Status Add(const std::string& name, const std::string& folder, uint64_t bytes);

  // From now on every write, sync and new file fails with EIO; what was not synced is gone.
  absl::Status CutPower(const std::string& name);
  // After CutPower, and once nobody uses it: as it was when power was cut.
  absl::Status RestorePower(const std::string& name);

  // Leaves so many bytes free.
  absl::Status FillUp(const std::string& name, uint64_t free_bytes);
  absl::Status GiveBack(const std::string& name);

 private:
  std::string Image(const std::string& name) const { return folder_ + "/" + name + ".img"; }

  std::string folder_;
  std::map<std::string, std::string> mounts_;  // where, by name
};

}  // namespace sextant::fault
