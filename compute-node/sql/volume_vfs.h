// VolumeVfs: a SQLite VFS whose one database is a volume. Registered under a name of its own.
//
// SQLite runs unmodified on top: every connection opened with this VFS gets a VolumeFile, whatever
// file name it says. Temporary files go to SQLite's own "unix" VFS; journals and WALs are refused,
// for they never exist. Which calls mark a transaction is written down, and pinned by
// volume_vfs_contract_test.cc, for the SQLite that we build with.
//
// Thread-safety: any number of connections on any threads. It must outlive all of them.
#pragma once

#include <atomic>
#include <string>

#include "compute-node/volume/page_volume.h"

struct sqlite3_vfs;

namespace sextant::sql {

class VolumeFile;

class VolumeVfs {
 public:
  // `volume` outlives the VFS.
  explicit VolumeVfs(compute::PageVolume* volume);
  ~VolumeVfs();
  VolumeVfs(const VolumeVfs&) = delete;
  VolumeVfs& operator=(const VolumeVfs&) = delete;

  // For sqlite3_open_v2; unique in the process.
  const std::string& name() const { return name_; }
  compute::PageVolume& volume() const { return *volume_; }

  // At most one file writes at a time. The write ticket sees to that; this is the belt to its
  // braces.
  bool TryBecomeWriter(VolumeFile* file);
  void StopWriting(VolumeFile* file);
  bool HasWriter() const { return writer_.load() != nullptr; }

  // Asks for the pages behind the end of the database before an insert needs them, once each: a new
  // page's base is read too, and would cost a commit a round trip.
  void PrefetchBeyond(const compute::ReadView& view, uint64_t size_pages);

 private:
  compute::PageVolume* volume_;
  std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  std::atomic<VolumeFile*> writer_{nullptr};
  std::atomic<uint64_t> prefetched_pages_{0};
};

// SQLite's process-wide settings, before its first use: no allocation statistics (they take a
// global lock). Called by every VolumeVfs; harmless when repeated.
void InitializeSqlite();

}  // namespace sextant::sql
