// History: everything that writers ever did, kept outside of them: what records there are, which
// recovery annulled what, and so what every page must look like. The reference of all checkers.
//
// Page images are the client's own (it says what a change leaves), so nothing here depends on the
// code that diffs, ships, stores and folds.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "tests/simulation/engine/sim.h"

namespace sextant::simulation {

class History final : public Observer {
 public:
  struct Record {
    Lsn commit;  // the last of its mini-transaction
    VolumeEpoch epoch;
    PageNo page;
    std::string payload;
    std::string image;  // the page, as the record leaves it
  };
  enum class Outcome { kPending, kAcked, kUnknown };
  struct Mtr {
    VolumeEpoch epoch;
    Lsn first;
    Outcome outcome = Outcome::kPending;
  };
  struct Opening {
    Lsn vdl, upper;
  };
  struct Version {
    Lsn lsn;                             // Lsn{0}: never written
    const std::string* image = nullptr;  // null: zeros
  };

  explicit History(Sim* sim) : sim_(*sim) {}

  const absl::btree_map<Lsn, Record>& records() const { return records_; }
  const absl::btree_map<Lsn, Mtr>& mtrs() const { return mtrs_; }  // by commit LSN
  const std::map<VolumeEpoch, Opening>& openings() const { return openings_; }
  Lsn highest_vdl() const { return highest_vdl_; }  // that any writer had or opened with
  const Record* Find(Lsn lsn) const;

  // Whether the opening of an epoch through `view` annulled the record.
  bool IsAnnulled(Lsn lsn, VolumeEpoch epoch, VolumeEpoch view = VolumeEpoch(UINT64_MAX)) const;
  // The page as the writer of epoch `view` must see it at `at`.
  Version PageAt(PageNo page, VolumeEpoch view, Lsn at) const;

  // --- Observer
  void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) override;
  void Appended(ComputeNo compute, VolumeEpoch epoch, const compute::Writer::Appended& appended,
                const std::vector<page::PageChange>& changes,
                const std::vector<std::string>& images) override;
  void VdlMoved(ComputeNo compute, VolumeEpoch epoch, Lsn vdl) override;
  void CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override;
  void CommitUnknown(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override;

 private:
  Sim& sim_;
  absl::btree_map<Lsn, Record> records_;
  absl::btree_map<Lsn, Mtr> mtrs_;
  std::map<VolumeEpoch, Opening> openings_;
  std::map<PageNo, std::vector<Lsn>> versions_;  // ascending
  std::map<VolumeEpoch, Lsn> published_;
  Lsn highest_vdl_;
};

}  // namespace sextant::simulation
