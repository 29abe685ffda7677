// VolumeFile: the database file of one connection; a read point, and for a writer an overlay.
//
//   xLock(SHARED)      pins the read point S: max(VDL, what this connection saw before), or head()
//                      while its session holds the write ticket. Pages and the length answer as of
//                      S. Time travel: S is a past commit, and does not count as seen.
//   xLock(RESERVED)    starts a private overlay. BUSY_SNAPSHOT when somebody appended above S.
//   FCNTL_SYNC         everything about a commit that can fail
//   COMMIT_PHASETWO    publishes the overlay as one mini-transaction; S becomes its commit LSN
//   xUnlock(<=SHARED)  drops what is left of the overlay: without PHASETWO before it, a rollback
//
// Change counter: page one is published with its counter zeroed (page_one.h) and read back with
// this connection's own, which changes exactly when S does, so SQLite's cache stays valid for as
// long as it may.
//
// Thread-safety: none; a connection is used by one thread at a time. What is fallible leaves its
// reason for TakeError(), since SQLite can only carry a number.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "compute-node/sql/read_ahead.h"
#include "compute-node/sql/session_file.h"
#include "compute-node/sql/volume_vfs.h"
#include "compute-node/sql/write_overlay.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::sql {

// sqlite3_file_control(db, "main", kFcntlVolumeFile, VolumeFile**) finds a connection's file.
inline constexpr int kFcntlVolumeFile = 0x53580001;

class VolumeFile final : public SessionFile {
 public:
  explicit VolumeFile(VolumeVfs* vfs);
  ~VolumeFile() override;

  // --- for the session that owns the connection
  // While set, transactions start at head() and may write; without it writing is refused with BUSY.
  void SetHoldsTicket(bool holds) override { holds_ticket_ = holds; }
  // From now on PRAGMAs that would change how the volume is used are refused.
  void LockPragmas() { are_pragmas_locked_ = true; }
  // The newest LSN that this connection read at or committed: its LSN token, and what a reply waits
  // for. It never reads below it again, until it is forgotten for another user of the connection.
  Lsn position() const override { return position_; }
  void ForgetPosition() override { position_ = Lsn(0); }
  Lsn last_commit() const override { return last_commit_; }
  absl::StatusOr<Lsn> ReadAsOf(std::optional<Lsn> lsn, std::optional<absl::Time> time) override;
  void ReadNewest() override { as_of_ = std::nullopt; }
  // Why the last call failed, once; OK when nothing failed since.
  absl::Status TakeError() override;

  // --- sqlite3_io_methods; results are SQLite codes
  int Read(char* to, int bytes, int64_t offset);
  int Write(const char* from, int bytes, int64_t offset);
  int Truncate(int64_t bytes);
  int Size(int64_t* bytes);
  int Lock(int level);
  int Unlock(int level);
  int CheckReservedLock(int* is_reserved);
  int Control(int op, void* argument);
  int Fetch(int64_t offset, int bytes, void** page);
  int Unfetch(void* page);

 private:
  // A page that SQLite uses in place; one entry per version.
  struct Pin {
    compute::PageRef ref;
    int count;
  };

  uint32_t page_bytes() const { return page_bytes_; }
  int Fail(int sqlite_code, absl::Status why);
  Lsn ChooseReadPoint() const;
  absl::Status OpenViewAtNewest();
  // The view at S; opened when a commit has just moved S.
  absl::StatusOr<const compute::ReadView*> View();
  absl::StatusOr<compute::PageRef> ReadVersion(PageNo page);
  void FetchAhead(const compute::ReadView& view, PageNo page);
  absl::Status LoadPageOne();
  int ReadWithoutLock(char* to, int bytes, int64_t offset);
  int ReadLocked(char* to, int bytes, int64_t offset);
  void CopyOut(PageNo page, std::string_view image, uint32_t offset, char* to, uint32_t bytes);
  int BecomeWriter();
  void EndWrite();
  int PrepareCommit();
  int PublishCommit();
  int Pragma(char** argument);

  VolumeVfs* const vfs_;
  compute::PageVolume& volume_;
  const uint32_t page_bytes_;
  bool holds_ticket_ = false;
  bool are_pragmas_locked_ = false;

  int lock_level_ = 0;
  std::unique_ptr<compute::ReadView> view_;
  Lsn read_point_;             // S, while locked
  compute::PageRef page_one_;  // as of page_one_lsn_
  Lsn page_one_lsn_;
  Lsn position_, last_commit_;
  std::optional<Lsn> as_of_;  // the read point of transactions to come; nullopt: the newest
  uint32_t counter_ = 1;      // the change counter that this connection sees
  Lsn counter_lsn_;           // the S it belongs to
  WriteOverlay overlay_;
  std::vector<Pin> pins_;
  ReadAhead read_ahead_;
  absl::Status error_;
};

}  // namespace sextant::sql
