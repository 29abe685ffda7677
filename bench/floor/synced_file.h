// SyncedFile: where a replica puts what it acknowledges. Written over and over, one fdatasync a
// call.
#pragma once

#include <cstddef>
#include <string>

namespace sextant::bench {

class SyncedFile {
 public:
  // Makes the file and fills it with zeros, so that later writes change no metadata. Ends the
  // process when the disk fails.
  SyncedFile(const std::string& path, size_t bytes);
  ~SyncedFile();
  SyncedFile(const SyncedFile&) = delete;

  // Durable when it returns.
  void Append(const char* data, size_t bytes);

 private:
  const size_t bytes_;
  int fd_;
  size_t position_ = 0;
};

}  // namespace sextant::bench
